"""SQL for notifications. A recipient is a user, or None for the administrators together.

`add` is the one door: what goes through it is listed, told live and handed to the recipient's
webhooks, in the transaction of what it tells. No caller can forget any of them.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    cast,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.app.channel_message import ADMINISTRATORS_NOTIFICATIONS, notifications_channel
from backend.app.errors import NotificationNotFound
from backend.app.models.notification_event import NotificationEvent
from backend.app.repositories.channel_repository import ChannelRepository
from backend.app.repositories.webhook_outbox import WebhookOutbox
from backend.app.schemas.notification_schemas import Notification

NOTIFICATIONS_KEPT_MAX: Final = 1_000


class NotificationRepository:
    """What each recipient should know, the newest of it."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, *events: NotificationEvent) -> None:
        """Keep events and tell them; let the oldest go where a recipient has too many.

        The recipients' channels are locked until the transaction ends, in the order of their names:
        whoever adds for several people does it at once.
        """
        if not events:
            return
        self._session.add_all(events)
        await self._session.flush()
        await self._trim({event.user_id for event in events})
        await self._publish(events)
        await WebhookOutbox(self._session).put(events)

    async def page(
        self,
        recipient_id: int | None,
        before_id: int | None,
        rows_max: int,
        *,
        only_unread: bool = False,
    ) -> Sequence[NotificationEvent]:
        """Return the recipient's next events, the newest first."""
        wanted = select(NotificationEvent).where(_of(recipient_id))
        if before_id is not None:
            wanted = wanted.where(NotificationEvent.id < before_id)
        if only_unread:
            wanted = wanted.where(NotificationEvent.read_at.is_(None))
        found = await self._session.scalars(
            wanted.order_by(NotificationEvent.id.desc()).limit(rows_max)
        )
        return found.all()

    async def count_unread(self, recipient_id: int | None) -> int:
        """Return how many of the recipient's events nobody has read."""
        counted = await self._session.scalar(
            select(func.count()).where(_of(recipient_id), NotificationEvent.read_at.is_(None))
        )
        return counted or 0

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

    async def mark_all_read(self, recipient_id: int, up_to_id: int | None, at: datetime) -> int:
        """Remember that everything was read, or all up to one event; return how many were new."""
        unread = [_of(recipient_id), NotificationEvent.read_at.is_(None)]
        if up_to_id is not None:
            unread.append(NotificationEvent.id <= up_to_id)
        marked = await self._session.execute(
            update(NotificationEvent)
            .where(*unread)
            .values(read_at=at)
            .returning(NotificationEvent.id)
            .execution_options(synchronize_session=False)
        )
        return len(marked.all())

    async def _trim(self, recipients: set[int | None]) -> None:
        users = [recipient for recipient in recipients if recipient is not None]
        if users:
            await self._delete_older_than(_oldest_kept_of(users))
        if None in recipients:
            oldest = _oldest_kept(NotificationEvent.user_id.is_(None)).scalar_subquery()
            await self._session.execute(
                delete(NotificationEvent)
                .where(_of(None), NotificationEvent.id < oldest)
                .execution_options(synchronize_session=False)
            )

    async def _delete_older_than(self, oldest: Select[Any]) -> None:
        kept = oldest.subquery("kept")
        await self._session.execute(
            delete(NotificationEvent)
            .where(
                NotificationEvent.user_id == kept.c.user_id,
                NotificationEvent.id < kept.c.oldest_id,
            )
            .execution_options(synchronize_session=False)
        )

    async def _publish(self, events: Sequence[NotificationEvent]) -> None:
        told = defaultdict(list)
        for event in events:
            shown = Notification.model_validate(event)
            told[_channel(event.user_id)].append(shown.model_dump(mode="json"))
        await ChannelRepository(self._session).publish_all(told)


def _of(recipient_id: int | None) -> ColumnElement[bool]:
    if recipient_id is None:
        return NotificationEvent.user_id.is_(None)
    return NotificationEvent.user_id == recipient_id


def _channel(recipient_id: int | None) -> str:
    if recipient_id is None:
        return ADMINISTRATORS_NOTIFICATIONS
    return notifications_channel(recipient_id)


def _oldest_kept(*whose: ColumnElement[bool]) -> Select[int]:
    return (
        select(NotificationEvent.id)
        .where(*whose)
        .order_by(NotificationEvent.id.desc())
        .offset(NOTIFICATIONS_KEPT_MAX - 1)
        .limit(1)
    )


def _oldest_kept_of(users: Sequence[int]) -> Select[Any]:
    user_id = func.unnest(cast(users, ARRAY(BigInteger))).column_valued("recipient")
    theirs = aliased(NotificationEvent)
    oldest = (
        select(theirs.id)
        .where(theirs.user_id == user_id)
        .order_by(theirs.id.desc())
        .offset(NOTIFICATIONS_KEPT_MAX - 1)
        .limit(1)
        .scalar_subquery()
    )
    return select(user_id.label("user_id"), oldest.label("oldest_id"))
