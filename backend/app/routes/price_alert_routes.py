"""Prices that you want to be told of."""

from http import HTTPStatus

from fastapi import APIRouter

from backend.app.errors import (
    MarketDataUnavailable,
    PriceAlertAlreadyTrue,
    PriceAlertNotFound,
    PriceUnknown,
    SymbolUnknown,
    TooManyPriceAlerts,
    Unauthenticated,
)
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.path_ids import RowId
from backend.app.routes.policy import Manager, Reader
from backend.app.routes.problems import refusals
from backend.app.schemas.price_alert_schemas import (
    PriceAlertCreate,
    PriceAlertShown,
    PriceAlertUpdate,
)

router = APIRouter(tags=["price alerts"])


@router.post(
    "/price-alerts",
    status_code=HTTPStatus.CREATED,
    responses=refusals(
        Unauthenticated,
        SymbolUnknown,
        PriceUnknown,
        PriceAlertAlreadyTrue,
        TooManyPriceAlerts,
        MarketDataUnavailable,
    ),
)
async def create_price_alert(
    asked: PriceAlertCreate, user: Manager, services: ServicesDep
) -> PriceAlertShown:
    """Be told when a price gets somewhere. If it is there already, you hear so at once: 409."""
    return await services.notices.alerts.create(user, asked)


@router.get("/price-alerts", responses=refusals(Unauthenticated))
async def list_price_alerts(user: Reader, services: ServicesDep) -> list[PriceAlertShown]:
    """Return your price alerts, the newest first, also those that have fired."""
    return await services.notices.alerts.list_own(user)


@router.get("/price-alerts/{alert_id}", responses=refusals(Unauthenticated, PriceAlertNotFound))
async def get_price_alert(alert_id: RowId, user: Reader, services: ServicesDep) -> PriceAlertShown:
    """Return one of your price alerts."""
    return await services.notices.alerts.get(user, alert_id)


@router.patch(
    "/price-alerts/{alert_id}",
    responses=refusals(Unauthenticated, PriceAlertNotFound, PriceUnknown, PriceAlertAlreadyTrue),
)
async def change_price_alert(
    alert_id: RowId, asked: PriceAlertUpdate, user: Manager, services: ServicesDep
) -> PriceAlertShown:
    """Pause one of your price alerts, or let it wait again from the price of now."""
    return await services.notices.alerts.update(user, alert_id, asked)


@router.delete(
    "/price-alerts/{alert_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=refusals(Unauthenticated, PriceAlertNotFound),
)
async def delete_price_alert(alert_id: RowId, user: Manager, services: ServicesDep) -> None:
    """Wait for a price no more."""
    await services.notices.alerts.delete(user, alert_id)
