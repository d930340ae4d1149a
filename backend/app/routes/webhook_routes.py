"""Addresses that you are told at. Only somebody who signed in makes, sees or changes them."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from backend.app.errors import (
    SessionNeeded,
    TooManyWebhooks,
    Unauthenticated,
    VaultSealed,
    WebhookAddressRefused,
    WebhookDisabledNow,
    WebhookNotFound,
)
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.paging import PAGE_ITEMS_DEFAULT, Cursor, Limit
from backend.app.routes.path_ids import RowId
from backend.app.routes.policy import CurrentUser
from backend.app.routes.problems import refusals
from backend.app.schemas.webhook_schemas import (
    Delivery,
    DeliveryPage,
    WebhookCreate,
    WebhookMade,
    WebhookRotated,
    WebhookShown,
    WebhookUpdate,
)

router = APIRouter(tags=["webhooks"])


@router.post(
    "/webhooks",
    status_code=HTTPStatus.CREATED,
    responses=refusals(
        Unauthenticated, SessionNeeded, WebhookAddressRefused, TooManyWebhooks, VaultSealed
    ),
)
async def create_webhook(
    asked: WebhookCreate, user: CurrentUser, services: ServicesDep, response: Response
) -> WebhookMade:
    """Name an address to be told at. Keep the secret of the answer: it is never shown again."""
    response.headers["Cache-Control"] = "no-store"
    return await services.notices.webhooks.create(user, asked)


@router.get("/webhooks", responses=refusals(Unauthenticated, SessionNeeded))
async def list_webhooks(user: CurrentUser, services: ServicesDep) -> list[WebhookShown]:
    """Return your webhooks, the newest first; never a secret."""
    return await services.notices.webhooks.list_own(user)


@router.get(
    "/webhooks/{webhook_id}", responses=refusals(Unauthenticated, SessionNeeded, WebhookNotFound)
)
async def get_webhook(webhook_id: RowId, user: CurrentUser, services: ServicesDep) -> WebhookShown:
    """Return one of your webhooks; never its secret."""
    return await services.notices.webhooks.get(user, webhook_id)


@router.patch(
    "/webhooks/{webhook_id}",
    responses=refusals(Unauthenticated, SessionNeeded, WebhookNotFound, WebhookAddressRefused),
)
async def change_webhook(
    webhook_id: RowId, asked: WebhookUpdate, user: CurrentUser, services: ServicesDep
) -> WebhookShown:
    """Change one of your webhooks, pause it, or wake it again."""
    return await services.notices.webhooks.update(user, webhook_id, asked)


@router.delete(
    "/webhooks/{webhook_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=refusals(Unauthenticated, SessionNeeded, WebhookNotFound),
)
async def delete_webhook(webhook_id: RowId, user: CurrentUser, services: ServicesDep) -> None:
    """Delete one of your webhooks with what waits for it, and destroy its secret."""
    await services.notices.webhooks.delete(user, webhook_id)


@router.post(
    "/webhooks/{webhook_id}/secret",
    responses=refusals(Unauthenticated, SessionNeeded, WebhookNotFound, VaultSealed),
)
async def rotate_webhook_secret(
    webhook_id: RowId, user: CurrentUser, services: ServicesDep, response: Response
) -> WebhookRotated:
    """Make a new signing secret. For a day, every message is signed with the old one too."""
    response.headers["Cache-Control"] = "no-store"
    return await services.notices.webhooks.rotate_secret(user, webhook_id)


@router.post(
    "/webhooks/{webhook_id}/test",
    status_code=HTTPStatus.ACCEPTED,
    responses=refusals(Unauthenticated, SessionNeeded, WebhookNotFound, WebhookDisabledNow),
)
async def test_webhook(webhook_id: RowId, user: CurrentUser, services: ServicesDep) -> Delivery:
    """Send a message that tells nothing; its delivery shows what became of it."""
    return await services.notices.webhooks.test(user, webhook_id)


@router.get(
    "/webhooks/{webhook_id}/deliveries",
    responses=refusals(Unauthenticated, SessionNeeded, WebhookNotFound),
)
async def list_webhook_deliveries(
    webhook_id: RowId,
    user: CurrentUser,
    services: ServicesDep,
    limit: Limit = PAGE_ITEMS_DEFAULT,
    cursor: Cursor = None,
) -> DeliveryPage:
    """Return what was sent to one of your webhooks, the newest first: of a week at the most."""
    return await services.notices.webhooks.deliveries(user, webhook_id, limit, cursor)
