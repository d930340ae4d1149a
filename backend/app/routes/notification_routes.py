"""What people are told although they did not ask."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from backend.app.errors import Forbidden, NotificationNotFound, Unauthenticated
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.paging import PAGE_ITEMS_DEFAULT, Cursor, Limit
from backend.app.routes.path_ids import ROW_ID_MAX, RowId
from backend.app.routes.policy import ADMINISTRATION, Manager, Reader
from backend.app.routes.problems import refusals
from backend.app.schemas.notification_schemas import (
    Notification,
    NotificationPage,
    NotificationsRead,
)

router = APIRouter(tags=["notifications"])

UpTo = Annotated[
    int | None, Query(ge=1, le=ROW_ID_MAX, description="The newest you have seen; none: all")
]


@router.get("/notifications", responses=refusals(Unauthenticated))
async def list_notifications(
    user: Reader,
    services: ServicesDep,
    limit: Limit = PAGE_ITEMS_DEFAULT,
    cursor: Cursor = None,
    unread: Annotated[bool, Query(description="Only what you have not read")] = False,
) -> NotificationPage:
    """Return what you should know, the newest first."""
    return await services.notifications.page(user.user_id, limit, cursor, only_unread=unread)


@router.post("/notifications/read-all", responses=refusals(Unauthenticated))
async def mark_all_notifications_read(
    user: Manager, services: ServicesDep, up_to: UpTo = None
) -> NotificationsRead:
    """Remember that you have read everything, or all up to one notification."""
    return await services.notifications.mark_all_read(user.user_id, up_to)


@router.post(
    "/notifications/{notification_id}/read",
    responses=refusals(Unauthenticated, NotificationNotFound),
)
async def mark_notification_read(
    notification_id: RowId, user: Manager, services: ServicesDep
) -> Notification:
    """Remember that you have read a notification."""
    return await services.notifications.mark_read(user.user_id, notification_id)


@router.get(
    "/admin/notifications",
    dependencies=[Depends(ADMINISTRATION)],
    responses=refusals(Unauthenticated, Forbidden),
)
async def list_administrators_notifications(
    services: ServicesDep, limit: Limit = PAGE_ITEMS_DEFAULT, cursor: Cursor = None
) -> NotificationPage:
    """Return what concerns the installation, the newest first: a key that several users bound."""
    return await services.notifications.administrators_page(limit, cursor)
