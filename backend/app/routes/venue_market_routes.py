"""The spot markets, for everybody."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query

from backend.app.errors import EngineElsewhere, SymbolUnknown, VenueBusy
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.paging import PAGE_ITEMS_DEFAULT, Cursor, Limit
from backend.app.routes.policy import PUBLIC
from backend.app.routes.price_routes import SymbolPath
from backend.app.routes.problems import refusals
from backend.app.schemas.venue_market_schemas import BookShown, MarketShown, TradePage

MARKET_LEVELS_MAX: Final = 500
_LEVELS_DEFAULT: Final = 50

router = APIRouter(prefix="/markets", tags=["spot markets"], dependencies=[Depends(PUBLIC)])

_Levels = Annotated[int, Query(ge=1, le=MARKET_LEVELS_MAX)]


@router.get("")
async def list_markets(services: ServicesDep) -> list[MarketShown]:
    """Return the markets, with the rules that orders must keep to."""
    return await services.spot_markets.list_markets()


@router.get("/{symbol:path}/book", responses=refusals(SymbolUnknown, EngineElsewhere, VenueBusy))
async def get_market_book(
    symbol: SymbolPath, services: ServicesDep, limit: _Levels = _LEVELS_DEFAULT
) -> BookShown:
    """Return what waits at a market's best prices."""
    return await services.spot_markets.get_book(symbol, limit)


@router.get("/{symbol:path}/trades", responses=refusals(SymbolUnknown))
async def list_market_trades(
    symbol: SymbolPath,
    services: ServicesDep,
    limit: Limit = PAGE_ITEMS_DEFAULT,
    cursor: Cursor = None,
) -> TradePage:
    """Return a market's trades, the newest first."""
    return await services.spot_markets.list_trades(symbol, limit, cursor)


@router.get("/{symbol:path}", responses=refusals(SymbolUnknown))
async def get_market(symbol: SymbolPath, services: ServicesDep) -> MarketShown:
    """Return one market, with the rules that its orders must keep to."""
    return await services.spot_markets.get_market(symbol)
