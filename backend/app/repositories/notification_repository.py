"""SQL for notifications. A recipient is a user, or None for the administrators together."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.errors import NotificationNotFound
from backend.app.models.notification_event import NotificationEvent

NOTIFICATIONS_KEPT_MAX: Final = 1_000


class NotificationRepository:
    """What each recipient should know, the newest of it."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, event: NotificationEvent) -> None:
        """Keep an event, and let the oldest go where its recipient has too many."""
        self._session.add(event)
        await self._session.flush()
        oldest_kept = (
            select(NotificationEvent.id)
            .where(_of(event.user_id))
            .order_by(NotificationEvent.id.desc())
            .offset(NOTIFICATIONS_KEPT_MAX - 1)
            .limit(1)
            .scalar_subquery()
        )
        await self._session.execute(
            delete(NotificationEvent)
            .where(_of(event.user_id), NotificationEvent.id < oldest_kept)
            .execution_options(synchronize_session=False)
        )

    async def page(
        self, recipient_id: int | None, before_id: int | None, rows_max: int
    ) -> Sequence[NotificationEvent]:
        """Return the recipient's next events, the newest first."""
        wanted = select(NotificationEvent).where(_of(recipient_id))
        if before_id is not None:
            wanted = wanted.where(NotificationEvent.id < before_id)
        found = await self._session.scalars(
            wanted.order_by(NotificationEvent.id.desc()).limit(rows_max)
        )
        return found.all()

    async def mark_read(
        self, recipient_id: int, notification_id: int, at: datetime
    ) -> NotificationEvent:
        """Remember when an event was first read, and return it.

        Raises:
            NotificationNotFound: absent, or another user's.
        """
        marked: NotificationEvent | None = await self._session.scalar(
            update(NotificationEvent)
            .where(_of(recipient_id), NotificationEvent.id == notification_id)
            .values(read_at=func.coalesce(NotificationEvent.read_at, at))
            .returning(NotificationEvent)
        )
        if marked is None:
            raise NotificationNotFound
        return marked


def _of(recipient_id: int | None) -> ColumnElement[bool]:
    if recipient_id is None:
        return NotificationEvent.user_id.is_(None)
    return NotificationEvent.user_id == recipient_id
