"""SQL for deliveries: who delivers what, and what became of it. None commits.

A delivery is claimed by moving its time forward. A claim that comes to nothing lapses: then it is
due again, under the same message id.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Select, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.enums import DeliveryFailure, DeliveryState
from backend.app.models.webhook import Webhook, WebhookDelivery

# Of what is due, so many are looked at to give every webhook its turn.
DUE_LOOKED_AT_MAX: Final = 10_000
_WAITING: Final = WebhookDelivery.state == DeliveryState.WAITING.value


class ClaimedDelivery(NamedTuple):
    """A delivery that is ours until a moment, and whose it is."""

    delivery_id: int
    webhook_id: int
    owner_id: int
    until: datetime


class Addressed(NamedTuple):
    """A delivery, and the webhook it is for, as both are now."""

    delivery: WebhookDelivery
    webhook: Webhook


class WebhookDeliveryRepository:
    """Messages on their way."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def claim(
        self,
        now: datetime,
        until: datetime,
        rows_max: int,
        *,
        each_max: int,
        leave_out: Collection[int] = (),
    ) -> list[ClaimedDelivery]:
        """Take deliveries that are due and nobody else has, a few of each webhook."""
        free = await self._session.scalars(_due(now, each_max, leave_out).limit(rows_max))
        claimed = await self._session.execute(
            update(WebhookDelivery)
            .where(WebhookDelivery.id.in_(free.all()), Webhook.id == WebhookDelivery.webhook_id)
            .values(next_attempt_at=until)
            .returning(WebhookDelivery.id, WebhookDelivery.webhook_id, Webhook.user_id)
            .execution_options(synchronize_session=False)
        )
        return [ClaimedDelivery(*row, until) for row in claimed]

    async def find(self, claimed: ClaimedDelivery) -> Addressed | None:
        """Return what was claimed, unless it is gone, done or claimed by another."""
        found = await self._session.execute(
            select(WebhookDelivery, Webhook)
            .join(Webhook, Webhook.id == WebhookDelivery.webhook_id)
            .where(*_ours(claimed), Webhook.is_active)
        )
        row = found.one_or_none()
        return None if row is None else Addressed(*row)

    async def finish(self, claimed: ClaimedDelivery, at: datetime, status: int | None) -> bool:
        """Write that it arrived; return whether it was still ours."""
        return await self._close(
            claimed,
            {
                "state": DeliveryState.DELIVERED.value,
                "next_attempt_at": None,
                "last_attempt_at": at,
                "last_status": status,
                "last_failure": None,
            },
        )

    async def fail(
        self,
        claimed: ClaimedDelivery,
        at: datetime,
        failure: DeliveryFailure,
        status: int | None,
        again_at: datetime | None,
    ) -> bool:
        """Write that it did not arrive, and when it is tried again, if ever."""
        state = DeliveryState.GIVEN_UP if again_at is None else DeliveryState.WAITING
        return await self._close(
            claimed,
            {
                "state": state.value,
                "next_attempt_at": again_at,
                "last_attempt_at": at,
                "last_status": status,
                "last_failure": failure.value,
            },
        )

    async def give_up_waiting(self, webhook_id: int) -> None:
        """Try nothing more of one webhook; whoever calls holds it."""
        await self._session.execute(
            update(WebhookDelivery)
            .where(WebhookDelivery.webhook_id == webhook_id, _WAITING)
            .values(
                state=DeliveryState.GIVEN_UP.value,
                next_attempt_at=None,
                last_failure=DeliveryFailure.WEBHOOK_DISABLED.value,
            )
            .execution_options(synchronize_session=False)
        )

    async def waiting_of_kind(self, webhook_id: int, kind: str) -> WebhookDelivery | None:
        """Return the latest delivery of a kind that still waits."""
        found: WebhookDelivery | None = await self._session.scalar(
            select(WebhookDelivery)
            .where(WebhookDelivery.webhook_id == webhook_id, _WAITING, WebhookDelivery.kind == kind)
            .order_by(WebhookDelivery.id.desc())
            .limit(1)
        )
        return found

    async def add(self, delivery: WebhookDelivery) -> None:
        """Write one delivery."""
        self._session.add(delivery)
        await self._session.flush()

    async def page(
        self, owner_id: int, webhook_id: int, before_id: int | None, rows_max: int
    ) -> Sequence[WebhookDelivery]:
        """Return deliveries of one webhook of this owner, the newest first."""
        wanted = (
            select(WebhookDelivery)
            .join(Webhook, Webhook.id == WebhookDelivery.webhook_id)
            .where(Webhook.user_id == owner_id, WebhookDelivery.webhook_id == webhook_id)
        )
        if before_id is not None:
            wanted = wanted.where(WebhookDelivery.id < before_id)
        found = await self._session.scalars(
            wanted.order_by(WebhookDelivery.id.desc()).limit(rows_max)
        )
        return found.all()

    async def delete_before(self, before: datetime, rows_max: int) -> int:
        """Delete a bounded number of deliveries from before a moment; return how many."""
        old = (
            select(WebhookDelivery.id)
            .where(WebhookDelivery.created_at < before, ~_WAITING)
            .order_by(WebhookDelivery.created_at)
            .limit(rows_max)
            .with_for_update(skip_locked=True)
            .cte("old")
        )
        gone = await self._session.execute(
            delete(WebhookDelivery)
            .where(WebhookDelivery.id == old.c.id)
            .returning(WebhookDelivery.id)
            .execution_options(synchronize_session=False)
        )
        return len(gone.all())

    async def _close(self, claimed: ClaimedDelivery, values: dict[str, object]) -> bool:
        closed = await self._session.execute(
            update(WebhookDelivery)
            .where(*_ours(claimed))
            .values(attempts=WebhookDelivery.attempts + 1, **values)
            .returning(WebhookDelivery.id)
            .execution_options(synchronize_session=False)
        )
        return closed.one_or_none() is not None


def _ours(claimed: ClaimedDelivery) -> tuple[ColumnElement[bool], ...]:
    # The time of the claim is its mark: another's claim, or a result, has moved it.
    return (
        WebhookDelivery.id == claimed.delivery_id,
        WebhookDelivery.next_attempt_at == claimed.until,
        _WAITING,
    )


def _due(now: datetime, each_max: int, leave_out: Collection[int]) -> Select[int]:
    is_due = (_WAITING, WebhookDelivery.next_attempt_at <= now)
    looked_at = (
        select(WebhookDelivery.id, WebhookDelivery.webhook_id, WebhookDelivery.next_attempt_at)
        .join(Webhook, Webhook.id == WebhookDelivery.webhook_id)
        .where(*is_due, Webhook.is_active, WebhookDelivery.webhook_id.not_in(leave_out))
        .order_by(WebhookDelivery.next_attempt_at)
        .limit(DUE_LOOKED_AT_MAX)
        .subquery("looked_at")
    )
    place = func.row_number().over(
        partition_by=looked_at.c.webhook_id, order_by=(looked_at.c.next_attempt_at, looked_at.c.id)
    )
    ranked = select(looked_at.c.id, place.label("place")).subquery("ranked")
    return (
        select(WebhookDelivery.id)
        .join(ranked, ranked.c.id == WebhookDelivery.id)
        # Said again: whoever waited for the row must see it as it has become.
        .where(ranked.c.place <= each_max, *is_due)
        .order_by(WebhookDelivery.next_attempt_at, WebhookDelivery.id)
        .with_for_update(skip_locked=True, of=WebhookDelivery)
    )
