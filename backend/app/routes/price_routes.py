"""The latest prices, for everybody, and at an internal door for other services of ours."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from backend.app.config import SYMBOLS_MAX
from backend.app.errors import (
    InternalDoorClosed,
    InternalKeyRefused,
    MarketDataUnavailable,
    PriceUnknown,
    SymbolUnknown,
    Unauthenticated,
)
from backend.app.routes.dependencies import MarketDep, ServicesDep, market_of
from backend.app.routes.policy import INTERNAL, PUBLIC, Reader
from backend.app.routes.problems import refusals
from backend.app.schemas.market_schemas import Price, PriceList, UserWithPrices

SYMBOL_NAME_LENGTH_MAX: Final = 64
INTERNAL_PRICES_DEFAULT: Final = 5
_NOT_KEPT: Final = {"Cache-Control": "no-store"}

router = APIRouter(prefix="/prices", tags=["prices"])
internal_router = APIRouter(prefix="/internal", tags=["internal"])
front_router = APIRouter(prefix="/me", tags=["me"])

SymbolPath = Annotated[
    str,
    Path(
        min_length=1,
        max_length=SYMBOL_NAME_LENGTH_MAX,
        description="`BTC/USDT`, or as you type it: `BTCUSDT`, `btc-usdt`, `BTC_USDT`",
    ),
]


@router.get(
    "",
    response_model=PriceList,
    responses=refusals(MarketDataUnavailable),
    dependencies=[Depends(PUBLIC)],
)
async def list_prices(request: Request) -> Response:
    """Return the last known price of every symbol, with its source, its age and if it is stale."""
    # Ready bytes: only the ages are written anew (bench/prices.py).
    listed = await market_of(request).prices.list_json()
    return Response(listed, media_type="application/json", headers=_NOT_KEPT)


@router.get(
    "/{symbol:path}",
    response_model=Price,
    responses=refusals(SymbolUnknown, PriceUnknown, MarketDataUnavailable),
    dependencies=[Depends(PUBLIC)],
)
async def show_price(symbol: SymbolPath, request: Request) -> Response:
    """Return the last known price of a symbol."""
    found = await market_of(request).prices.one_json(symbol)
    return Response(found, media_type="application/json", headers=_NOT_KEPT)


@internal_router.get(
    "/price",
    response_model=PriceList,
    responses=refusals(
        Unauthenticated, InternalKeyRefused, MarketDataUnavailable, InternalDoorClosed
    ),
    dependencies=[Depends(INTERNAL)],
)
async def internal_prices(
    market: MarketDep,
    limit: Annotated[int, Query(ge=1, le=SYMBOLS_MAX)] = INTERNAL_PRICES_DEFAULT,
) -> Response:
    """Return the last known prices of the first symbols, for other services of ours."""
    listed = await market.prices.list_json(limit)
    return Response(listed, media_type="application/json", headers=_NOT_KEPT)


@front_router.get("/prices", responses=refusals(Unauthenticated))
async def my_prices(user: Reader, services: ServicesDep) -> UserWithPrices:
    """Return yourself with the latest prices; yourself alone, and why, while they are away."""
    return await services.front.user_with_prices(user.user_id)
