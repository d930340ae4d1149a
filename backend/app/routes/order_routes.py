"""Orders of the spot markets, and what they traded."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Response

from backend.app.errors import (
    BadRequest,
    ClientOrderIdTaken,
    EngineElsewhere,
    InsufficientFunds,
    OrderNotFound,
    OrderNotOpen,
    OrderOutcomeUnknown,
    OrderRefused,
    PostOnlyWouldTake,
    SymbolUnknown,
    TooManyOpenOrders,
    Unauthenticated,
    VenueBusy,
)
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.paging import PAGE_ITEMS_DEFAULT, Limit, PlaceCursor
from backend.app.routes.path_ids import RowId
from backend.app.routes.policy import Reader, Trader
from backend.app.routes.problems import refusals
from backend.app.schemas.order_schemas import (
    CLIENT_ORDER_ID_FORM,
    MARKET_NAME_LENGTH_MAX,
    BatchAnswer,
    FillPage,
    OrderBatch,
    OrderCreate,
    OrderPage,
    OrderQuery,
    OrdersCancelled,
    OrderShown,
)

router = APIRouter(tags=["spot orders"])

_ClientOrderId = Annotated[str, Path(pattern=CLIENT_ORDER_ID_FORM)]
_Symbol = Annotated[
    str | None,
    Query(min_length=1, max_length=MARKET_NAME_LENGTH_MAX, description="Of one market only"),
]
_NOT_AT_HAND: Final = (EngineElsewhere, VenueBusy, OrderOutcomeUnknown)
_SEVERAL: Final[dict[int | str, dict[str, Any]]] = {
    HTTPStatus.OK.value: {"description": "Looked at one by one; each item says what became of it"}
}


@router.post(
    "/orders",
    status_code=HTTPStatus.CREATED,
    response_model=OrderShown,
    responses=refusals(
        Unauthenticated,
        OrderRefused,
        InsufficientFunds,
        PostOnlyWouldTake,
        TooManyOpenOrders,
        ClientOrderIdTaken,
        *_NOT_AT_HAND,
    ),
)
async def place_order(asked: OrderCreate, user: Trader, services: ServicesDep) -> Response:
    """Buy or sell. The answer comes when the order is committed, with what it traded at once.

    The same order under the same `client_order_id` is placed once, however often it is sent; the
    answer shows it as it stands by then. Another order under that id is refused.
    """
    placed = await services.orders.place_json(user.user_id, asked)
    return Response(placed, HTTPStatus.CREATED, media_type="application/json")


@router.post(
    "/orders/batch",
    response_model=BatchAnswer,
    responses=_SEVERAL | refusals(Unauthenticated, *_NOT_AT_HAND),
)
async def place_orders(asked: OrderBatch, user: Trader, services: ServicesDep) -> Response:
    """Place up to 100 orders, one after the other; each is placed or refused by itself.

    The items of the answer are in the order of the request: `order`, or `problem` with what the
    order alone would have been refused with. A body that is malformed anywhere places nothing.
    """
    ends = await services.orders.place_all_json(user.user_id, asked)
    return Response(ends, media_type="application/json")


@router.get("/orders", responses=refusals(Unauthenticated, SymbolUnknown))
async def list_orders(
    asked: Annotated[OrderQuery, Query()], user: Reader, services: ServicesDep
) -> OrderPage:
    """Return your orders, the newest first."""
    return await services.orders.page(user.user_id, asked)


@router.delete("/orders", responses=refusals(Unauthenticated, SymbolUnknown, *_NOT_AT_HAND))
async def cancel_orders(
    user: Trader, services: ServicesDep, symbol: _Symbol = None
) -> OrdersCancelled:
    """Take all your open orders back: of one market, or of all."""
    return await services.orders.cancel_all(user.user_id, symbol)


@router.get(
    "/orders/by-client-id/{client_order_id}", responses=refusals(Unauthenticated, OrderNotFound)
)
async def get_order_by_client_id(
    client_order_id: _ClientOrderId, user: Reader, services: ServicesDep
) -> OrderShown:
    """Return your order of this id of yours."""
    return await services.orders.get_by_client_id(user.user_id, client_order_id)


@router.get("/orders/{spot_order_id}", responses=refusals(Unauthenticated, OrderNotFound))
async def get_order(spot_order_id: RowId, user: Reader, services: ServicesDep) -> OrderShown:
    """Return one of your orders."""
    return await services.orders.get(user.user_id, spot_order_id)


@router.delete(
    "/orders/{spot_order_id}",
    responses=refusals(Unauthenticated, OrderNotFound, OrderNotOpen, *_NOT_AT_HAND),
)
async def cancel_order(spot_order_id: RowId, user: Trader, services: ServicesDep) -> OrderShown:
    """Take one of your open orders back; what it locked is available again."""
    return await services.orders.cancel(user.user_id, spot_order_id)


@router.get(
    "/orders/{spot_order_id}/fills",
    responses=refusals(Unauthenticated, OrderNotFound, BadRequest),
)
async def list_fills_of_order(
    spot_order_id: RowId,
    user: Reader,
    services: ServicesDep,
    limit: Limit = PAGE_ITEMS_DEFAULT,
    cursor: PlaceCursor = None,
) -> FillPage:
    """Return what one of your orders traded, the newest first."""
    return await services.orders.fills_of(user.user_id, spot_order_id, limit, cursor)


@router.get("/fills", responses=refusals(Unauthenticated, SymbolUnknown, BadRequest))
async def list_fills(
    user: Reader,
    services: ServicesDep,
    symbol: _Symbol = None,
    limit: Limit = PAGE_ITEMS_DEFAULT,
    cursor: PlaceCursor = None,
) -> FillPage:
    """Return your sides of trades, the newest first."""
    return await services.orders.fills(user.user_id, symbol, limit, cursor)
