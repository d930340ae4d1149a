"""Brings messages to webhooks, and learns from what becomes of them.

⟦claim⟧ → ⟦read⟧ → sign → send → ⟦what became of it⟧. Whatever is broken off in between lapses: the
message is due again, under the same id. So it may arrive twice, and is never lost.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from random import SystemRandom
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_record import SYSTEM, Act, AuditObject, AuditRecord
from backend.app.audit_record import Outcome as Recorded
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.enums import DeliveryFailure, NotificationKind, WebhookDisabled
from backend.app.errors import WebhookNotFound
from backend.app.logs import logger
from backend.app.models.notification_event import NotificationEvent
from backend.app.models.webhook import Webhook, WebhookDelivery
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.dek_repository import DekRepository
from backend.app.repositories.notification_repository import NotificationRepository
from backend.app.repositories.webhook_delivery_repository import (
    ClaimedDelivery,
    WebhookDeliveryRepository,
)
from backend.app.repositories.webhook_repository import StoredSecret, WebhookRepository
from backend.app.services.envelope import EnvelopeError
from backend.app.services.webhooks.retry_plan import FAILING_FOR_MAX, RetryPlan
from backend.app.services.webhooks.webhook_sender import Letter, Outcome, Sender
from backend.app.services.webhooks.webhook_vault import WebhookVault

# Longer than an attempt and both blocks around it can take.
CLAIM_LASTS: Final = timedelta(minutes=1)
EACH_AT_ONCE_MAX: Final = 4
DELIVERIES_KEPT_FOR: Final = timedelta(days=7)
ROWS_SWEPT_MAX: Final = 1_000
_HEADERS: Final = {"Content-Type": "application/json", "User-Agent": "Strongroom"}
_LOG: Final = logger(__name__)


class WebhookDeliveryService:
    """Delivers what waits. Any number of processes share the work."""

    def __init__(
        self, *, database: Database, vault: WebhookVault, sender: Sender, now: Clock
    ) -> None:
        self._database = database
        self._vault = vault
        self._sender = sender
        self._now = now

    async def claim(self, places: int, busy: Collection[int]) -> list[ClaimedDelivery]:
        """Take what is due, a few of each webhook, and of busy ones nothing."""
        now = self._now()
        async with self._database.transaction() as session:
            return await WebhookDeliveryRepository(session).claim(
                now, now + CLAIM_LASTS, places, each_max=EACH_AT_ONCE_MAX, leave_out=busy
            )

    async def deliver(self, claimed: ClaimedDelivery) -> None:
        """Try once to deliver what was claimed.

        Raises:
            VaultSealed: no key is in memory.
            VaultUnavailable: the root key's provider is away; the claim lapses.
        """
        now = self._now()
        async with self._database.snapshot() as session:
            found = await WebhookDeliveryRepository(session).find(claimed)
            secrets = await WebhookRepository(session).secrets(claimed.owner_id, claimed.webhook_id)
        if found is None:
            return
        valid = [each for each in secrets if _counts(each, now)]
        outcome = await self._sent(found.delivery, found.webhook.url, valid)
        await self._keep(claimed, found.delivery.attempts + 1, outcome)

    async def sweep(self) -> None:
        """Delete a bounded number of old deliveries, and destroy secrets whose time is over."""
        now = self._now()
        async with self._database.transaction() as session:
            await WebhookDeliveryRepository(session).delete_before(
                now - DELIVERIES_KEPT_FOR, ROWS_SWEPT_MAX
            )
        async with self._database.transaction() as session:
            webhooks = WebhookRepository(session)
            for secret in await webhooks.expired_secrets(now, ROWS_SWEPT_MAX):
                await DekRepository(session).shred(secret.user_id, secret.dek_id, now)
                await webhooks.remove_secret(secret.user_id, secret.id)

    async def _sent(
        self, delivery: WebhookDelivery, url: str, secrets: list[StoredSecret]
    ) -> Outcome:
        try:
            signed = await self._vault.signed_headers(
                secrets, delivery.message_id, self._now(), delivery.body
            )
        except EnvelopeError:
            _LOG.warning("webhook_secret_unreadable", webhook_id=delivery.webhook_id)
            return Outcome(DeliveryFailure.UNSIGNED)
        letter = Letter(url, {**_HEADERS, **signed}, delivery.body.encode())
        return await self._sender.send(letter)

    async def _keep(self, claimed: ClaimedDelivery, attempts: int, outcome: Outcome) -> None:
        now = self._now()
        async with self._database.transaction() as session:
            try:
                webhook = await WebhookRepository(session).hold(
                    claimed.owner_id, claimed.webhook_id
                )
            except WebhookNotFound:
                # Deleted while the message was on its way, with everything that waited for it.
                return
            if outcome.failure is None:
                await self._keep_arrival(session, claimed, webhook, outcome)
                return
            gone = outcome.failure is DeliveryFailure.GONE
            plan = RetryPlan(SystemRandom().random())
            again_at = None if gone else plan.next_attempt(attempts, now, outcome.retry_after)
            kept = await WebhookDeliveryRepository(session).fail(
                claimed, now, outcome.failure, outcome.status, again_at
            )
            if kept:
                await self._keep_failure(session, webhook, gone=gone)

    async def _keep_arrival(
        self, session: AsyncSession, claimed: ClaimedDelivery, webhook: Webhook, outcome: Outcome
    ) -> None:
        await WebhookDeliveryRepository(session).finish(claimed, self._now(), outcome.status)
        if webhook.failing_since is not None:
            await WebhookRepository(session).change(
                claimed.owner_id, claimed.webhook_id, {"failing_since": None}
            )

    async def _keep_failure(self, session: AsyncSession, webhook: Webhook, *, gone: bool) -> None:
        now = self._now()
        since = webhook.failing_since or now
        is_over = now - since >= FAILING_FOR_MAX
        if webhook.is_active and (gone or is_over):
            because = WebhookDisabled.GONE if gone else WebhookDisabled.FAILING
            await self._disable(session, webhook, because)
        elif webhook.failing_since is None:
            await WebhookRepository(session).change(
                webhook.user_id, webhook.id, {"failing_since": now}
            )

    async def _disable(
        self, session: AsyncSession, webhook: Webhook, because: WebhookDisabled
    ) -> None:
        now, owner_id = self._now(), webhook.user_id
        disabled = {"is_active": False, "disabled_because": because.value}
        await WebhookRepository(session).change(owner_id, webhook.id, disabled)
        await WebhookDeliveryRepository(session).give_up_waiting(webhook.id)
        # Not its address, which may hold a secret.
        facts = {"webhook_id": webhook.id, "name": webhook.name, "reason": because.value}
        await NotificationRepository(session).add(
            NotificationEvent(
                user_id=owner_id,
                kind=NotificationKind.WEBHOOK_DISABLED.value,
                facts=facts,
                created_at=now,
            )
        )
        record = AuditRecord(
            act=Act.WEBHOOK_CHANGED,
            outcome=Recorded.DONE,
            caller=SYSTEM,
            at=now,
            object=AuditObject("webhook", webhook.id, owner_id),
            reason=because.value,
        )
        await AuditRepository(session).append([record])


def _counts(stored: StoredSecret, now: datetime) -> bool:
    ends_at = stored.secret.expires_at
    return stored.dek.wrapped is not None and (ends_at is None or now < ends_at)
