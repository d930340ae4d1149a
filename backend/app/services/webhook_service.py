"""The use cases of webhooks: make, list, change, rotate, try, delete."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import yarl
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_record import Act, AuditObject, AuditRecord, Outcome
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.enums import DeliveryState, WebhookDisabled
from backend.app.errors import TooManyWebhooks, WebhookAddressRefused, WebhookDisabledNow
from backend.app.ids import new_id
from backend.app.models.webhook import Webhook, WebhookDelivery, WebhookSecret
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.dek_repository import DekRepository
from backend.app.repositories.user_repository import UserRepository
from backend.app.repositories.webhook_delivery_repository import WebhookDeliveryRepository
from backend.app.repositories.webhook_repository import WebhookRepository
from backend.app.schemas.webhook_schemas import (
    TEST_KIND,
    Delivery,
    DeliveryPage,
    WebhookCreate,
    WebhookMade,
    WebhookMessage,
    WebhookRotated,
    WebhookShown,
    WebhookUpdate,
)
from backend.app.services.principal import Principal
from backend.app.services.webhooks.address_guard import AddressGuard
from backend.app.services.webhooks.webhook_vault import (
    SealedSecret,
    WebhookVault,
    new_webhook_secret,
)

WEBHOOKS_PER_USER_MAX: Final = 5
# How long a receiver has to learn the new secret.
SECRETS_OVERLAP_FOR: Final = timedelta(hours=24)


class WebhookService:
    """Where people are told. A signing secret leaves once, when it is made."""

    def __init__(
        self, *, database: Database, vault: WebhookVault, guard: AddressGuard, now: Clock
    ) -> None:
        self._database = database
        self._vault = vault
        self._guard = guard
        self._now = now

    async def create(self, principal: Principal, asked: WebhookCreate) -> WebhookMade:
        """Make a webhook for whoever asks.

        Raises:
            WebhookAddressRefused: the address is private, local or not encrypted.
            TooManyWebhooks: there are as many already as one user may have.
            VaultSealed: its secret cannot be sealed.
        """
        self._refuse_address(asked.url)
        owner_id, secret = principal.user_id, new_webhook_secret()
        sealed = await self._sealed(owner_id, secret)
        webhook = Webhook(
            user_id=owner_id,
            name=asked.name,
            url=asked.url,
            kinds=sorted(asked.kinds),
            is_active=True,
            created_at=self._now(),
        )
        async with self._database.transaction() as session:
            # Whoever makes another webhook of this user waits here, so that the count holds.
            await UserRepository(session).lock(owner_id)
            webhooks = WebhookRepository(session)
            if await webhooks.count(owner_id) >= WEBHOOKS_PER_USER_MAX:
                raise TooManyWebhooks(
                    f"A user has {WEBHOOKS_PER_USER_MAX} webhooks at the most. Delete one."
                )
            await webhooks.add(webhook)
            await self._keep_secret(session, webhook.id, sealed)
            await self._record(session, Act.WEBHOOK_CREATED, principal, webhook.id)
        shown = WebhookShown.model_validate(webhook)
        return WebhookMade(**shown.model_dump(), secret=secret)

    async def list_own(self, principal: Principal) -> list[WebhookShown]:
        """Return one's own webhooks, the newest first; never a secret."""
        async with self._database.snapshot() as session:
            webhooks = await WebhookRepository(session).list(principal.user_id)
        return [WebhookShown.model_validate(webhook) for webhook in webhooks]

    async def get(self, principal: Principal, webhook_id: int) -> WebhookShown:
        """Return one of one's own webhooks; never its secret.

        Raises:
            WebhookNotFound: absent, or another user's.
        """
        async with self._database.snapshot() as session:
            webhook = await WebhookRepository(session).get(principal.user_id, webhook_id)
        return WebhookShown.model_validate(webhook)

    async def update(
        self, principal: Principal, webhook_id: int, asked: WebhookUpdate
    ) -> WebhookShown:
        """Change a webhook. What waits when it is paused is not sent any more.

        Raises:
            WebhookNotFound: absent, or another user's.
            WebhookAddressRefused: the address is private, local or not encrypted.
        """
        if asked.url is not None:
            self._refuse_address(asked.url)
        owner_id = principal.user_id
        async with self._database.transaction() as session:
            webhooks = WebhookRepository(session)
            await webhooks.hold(owner_id, webhook_id)
            changed = await webhooks.change(owner_id, webhook_id, _changes(asked))
            if asked.is_active is False:
                await WebhookDeliveryRepository(session).give_up_waiting(webhook_id)
            await self._record(session, Act.WEBHOOK_CHANGED, principal, webhook_id)
        return WebhookShown.model_validate(changed)

    async def rotate_secret(self, principal: Principal, webhook_id: int) -> WebhookRotated:
        """Make a new secret; for a day every message is signed with the old one too.

        Raises:
            WebhookNotFound: absent, or another user's.
            VaultSealed: the new secret cannot be sealed.
        """
        owner_id, secret = principal.user_id, new_webhook_secret()
        sealed = await self._sealed(owner_id, secret)
        ends_at = self._now() + SECRETS_OVERLAP_FOR
        async with self._database.transaction() as session:
            webhooks = WebhookRepository(session)
            await webhooks.hold(owner_id, webhook_id)
            newest, *older = await webhooks.secrets(owner_id, webhook_id)
            # Two at the most: who rotates again within the day wants the oldest gone.
            for stored in older:
                await DekRepository(session).shred(owner_id, stored.dek.dek_id, self._now())
                await webhooks.remove_secret(owner_id, stored.secret.id)
            await webhooks.expire_secret(owner_id, newest.secret.id, ends_at)
            await self._keep_secret(session, webhook_id, sealed)
            await self._record(session, Act.WEBHOOK_SECRET_ROTATED, principal, webhook_id)
        return WebhookRotated(secret=secret, previous_ends_at=ends_at)

    async def delete(self, principal: Principal, webhook_id: int) -> None:
        """Delete a webhook with what waits for it, and destroy its secrets.

        Raises:
            WebhookNotFound: absent, or another user's.
        """
        owner_id = principal.user_id
        async with self._database.transaction() as session:
            webhooks = WebhookRepository(session)
            await webhooks.hold(owner_id, webhook_id)
            for stored in await webhooks.secrets(owner_id, webhook_id):
                await DekRepository(session).shred(owner_id, stored.dek.dek_id, self._now())
            await webhooks.delete(owner_id, webhook_id)
            await self._record(session, Act.WEBHOOK_DELETED, principal, webhook_id)

    async def test(self, principal: Principal, webhook_id: int) -> Delivery:
        """Send a message that tells nothing. While one is on its way, no other is sent.

        Raises:
            WebhookNotFound: absent, or another user's.
            WebhookDisabledNow: nothing is sent to it at the moment.
        """
        async with self._database.transaction() as session:
            webhook = await WebhookRepository(session).hold(principal.user_id, webhook_id)
            if not webhook.is_active:
                raise WebhookDisabledNow
            deliveries = WebhookDeliveryRepository(session)
            delivery = await deliveries.waiting_of_kind(webhook_id, TEST_KIND)
            if delivery is None:
                delivery = self._test_delivery(webhook_id)
                await deliveries.add(delivery)
        return Delivery.model_validate(delivery)

    async def deliveries(
        self, principal: Principal, webhook_id: int, limit: int, cursor: int | None
    ) -> DeliveryPage:
        """Return what became of the messages to one of one's own webhooks, the newest first.

        Raises:
            WebhookNotFound: absent, or another user's.
        """
        owner_id = principal.user_id
        async with self._database.snapshot() as session:
            await WebhookRepository(session).get(owner_id, webhook_id)
            found = await WebhookDeliveryRepository(session).page(
                owner_id, webhook_id, cursor, limit + 1
            )
        return DeliveryPage(
            items=[Delivery.model_validate(delivery) for delivery in found[:limit]],
            next_cursor=str(found[limit - 1].id) if len(found) > limit else None,
        )

    def _refuse_address(self, written: str) -> None:
        # What a name means is asked when a message is sent: by tomorrow it may be another address.
        url = yarl.URL(written, encoded=True)
        host = url.host or ""
        if (url.scheme != "https" and not self._guard.permits_plain_http(host)) or (
            self._guard.refuses_literally(host)
        ):
            raise WebhookAddressRefused(
                "A webhook is an https address on the public internet: no private, local or"
                " reserved one."
            )

    async def _sealed(self, owner_id: int, secret: str) -> SealedSecret:
        async with self._database.transaction() as session:
            secret_id = await WebhookRepository(session).next_secret_id()
        return await self._vault.seal(owner_id, secret_id, secret)

    async def _keep_secret(
        self, session: AsyncSession, webhook_id: int, sealed: SealedSecret
    ) -> None:
        dek, now = sealed.dek, self._now()
        await DekRepository(session).add(
            sealed.owner_id,
            dek_id=dek.dek_id,
            kid=dek.kid,
            wrapped=dek.wrapped,
            kcv=dek.kcv,
            at=now,
        )
        await WebhookRepository(session).add_secret(
            WebhookSecret(
                id=sealed.secret_id,
                webhook_id=webhook_id,
                user_id=sealed.owner_id,
                sealed_secret=sealed.sealed,
                dek_id=dek.dek_id,
                created_at=now,
            )
        )

    def _test_delivery(self, webhook_id: int) -> WebhookDelivery:
        now = self._now()
        body = WebhookMessage(type=TEST_KIND, timestamp=now, data={})
        return WebhookDelivery(
            webhook_id=webhook_id,
            message_id=f"msg_{new_id().hex}",
            kind=TEST_KIND,
            body=body.model_dump_json(),
            state=DeliveryState.WAITING.value,
            attempts=0,
            next_attempt_at=now,
            created_at=now,
        )

    async def _record(
        self, session: AsyncSession, act: Act, principal: Principal, webhook_id: int
    ) -> None:
        record = AuditRecord(
            act=act,
            outcome=Outcome.DONE,
            caller=principal.caller,
            at=self._now(),
            object=AuditObject("webhook", webhook_id, principal.user_id),
        )
        await AuditRepository(session).append([record])


def _changes(asked: WebhookUpdate) -> Mapping[str, Any]:
    changes: dict[str, Any] = asked.model_dump(exclude_unset=True, exclude={"kinds"})
    if asked.kinds is not None:
        changes["kinds"] = sorted(asked.kinds)
    if asked.is_active is not None:
        changes["disabled_because"] = None if asked.is_active else WebhookDisabled.OWNER.value
        changes["failing_since"] = None
    return changes
