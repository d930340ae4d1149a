"""SQL that hands notifications to webhooks: one delivery each, in the transaction that tells.

Where too many wait already, the delivery is written as given up: its owner sees that it was not
sent, and the notification itself is listed all the same.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.enums import DeliveryFailure, DeliveryState
from backend.app.ids import new_id
from backend.app.models.notification_event import NotificationEvent
from backend.app.models.webhook import Webhook, WebhookDelivery
from backend.app.schemas.webhook_schemas import WebhookMessage

DELIVERIES_WAITING_MAX: Final = 1_000


class WebhookOutbox:
    """What is to be told to the addresses people gave."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def put(self, events: Sequence[NotificationEvent]) -> None:
        """Write a delivery of each event for each active webhook of its user that wants its kind.

        The webhooks are held until the block ends: none is deleted meanwhile.
        """
        users = {event.user_id for event in events if event.user_id is not None}
        if not users:
            return
        found = await self._session.execute(
            select(Webhook.id, Webhook.user_id, Webhook.kinds, _waiting())
            .where(Webhook.user_id.in_(users), Webhook.is_active)
            .order_by(Webhook.id)
            .with_for_update(read=True, key_share=True, of=Webhook)
        )
        rows: list[dict[str, Any]] = []
        for webhook_id, user_id, kinds, waiting in found.all():
            wanted = [
                event
                for event in events
                if event.user_id == user_id and (not kinds or event.kind in kinds)
            ]
            rows += [
                _row(webhook_id, event, is_full=waiting + place >= DELIVERIES_WAITING_MAX)
                for place, event in enumerate(wanted)
            ]
        if rows:
            await self._session.execute(insert(WebhookDelivery), rows)


def _waiting() -> Any:
    # Counted no further than it matters.
    some = (
        select(WebhookDelivery.id)
        .where(
            WebhookDelivery.webhook_id == Webhook.id,
            WebhookDelivery.state == DeliveryState.WAITING.value,
        )
        .limit(DELIVERIES_WAITING_MAX)
        .correlate(Webhook)
        .subquery("some")
    )
    return select(func.count()).select_from(some).scalar_subquery()


def _row(webhook_id: int, event: NotificationEvent, *, is_full: bool) -> dict[str, Any]:
    body = WebhookMessage(
        type=event.kind,
        timestamp=event.created_at,
        data={"id": event.id, "credential_id": event.credential_id, "facts": event.facts},
    )
    return {
        "webhook_id": webhook_id,
        "message_id": f"msg_{new_id().hex}",
        "kind": event.kind,
        "body": body.model_dump_json(),
        "state": (DeliveryState.GIVEN_UP if is_full else DeliveryState.WAITING).value,
        "attempts": 0,
        "next_attempt_at": None if is_full else event.created_at,
        "last_failure": DeliveryFailure.TOO_MANY_WAITING.value if is_full else None,
        "created_at": event.created_at,
    }
