"""What people are told although they did not ask."""

from fastapi import APIRouter, Depends

from backend.app.errors import Forbidden, NotificationNotFound, Unauthenticated
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.paging import PAGE_ITEMS_DEFAULT, Cursor, Limit
from backend.app.routes.path_ids import RowId
from backend.app.routes.policy import ADMINISTRATION, Manager, Reader
from backend.app.routes.problems import refusals
from backend.app.schemas.notification_schemas import Notification, NotificationPage

router = APIRouter(tags=["notifications"])


@router.get("/notifications", responses=refusals(Unauthenticated))
async def list_notifications(
    user: Reader,
    services: ServicesDep,
    limit: Limit = PAGE_ITEMS_DEFAULT,
    cursor: Cursor = None,
) -> NotificationPage:
    """Return what you should know of your keys, the newest first."""
    return await services.notifications.page(user.user_id, limit, cursor)


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
