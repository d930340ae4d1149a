"""What people are told although they did not ask: listed, and marked as read."""

from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.repositories.notification_repository import NotificationRepository
from backend.app.schemas.notification_schemas import (
    Notification,
    NotificationPage,
    NotificationsRead,
)


class NotificationService:
    """Reads the notifications of a user, and those of the administrators together."""

    def __init__(self, database: Database, now: Clock) -> None:
        self._database = database
        self._now = now

    async def page(
        self, user_id: int, limit: int, cursor: int | None, *, only_unread: bool = False
    ) -> NotificationPage:
        """Return a user's notifications, the newest first."""
        return await self._page(user_id, limit, cursor, only_unread=only_unread)

    async def administrators_page(self, limit: int, cursor: int | None) -> NotificationPage:
        """Return what concerns the installation, the newest first."""
        return await self._page(None, limit, cursor)

    async def mark_read(self, user_id: int, notification_id: int) -> Notification:
        """Remember that a user has read a notification; the first time stays.

        Raises:
            NotificationNotFound: absent, or another user's.
        """
        async with self._database.transaction() as session:
            marked = await NotificationRepository(session).mark_read(
                user_id, notification_id, self._now()
            )
        return Notification.model_validate(marked)

    async def mark_all_read(self, user_id: int, up_to_id: int | None) -> NotificationsRead:
        """Remember that a user has read everything, or everything up to one notification."""
        async with self._database.transaction() as session:
            marked = await NotificationRepository(session).mark_all_read(
                user_id, up_to_id, self._now()
            )
        return NotificationsRead(marked=marked)

    async def _page(
        self,
        recipient_id: int | None,
        limit: int,
        cursor: int | None,
        *,
        only_unread: bool = False,
    ) -> NotificationPage:
        async with self._database.snapshot() as session:
            notifications = NotificationRepository(session)
            found = await notifications.page(
                recipient_id, cursor, limit + 1, only_unread=only_unread
            )
            unread = await notifications.count_unread(recipient_id)
        return NotificationPage(
            items=[Notification.model_validate(event) for event in found[:limit]],
            next_cursor=str(found[limit - 1].id) if len(found) > limit else None,
            unread=unread,
        )
