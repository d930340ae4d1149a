"""What can be priced and traded: symbols, assets, and what exchanges say of them."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query

from backend.app.errors import AssetUnknown, BadRequest, MarketDataUnavailable, SymbolUnknown
from backend.app.routes.dependencies import MarketDep
from backend.app.routes.paging import PAGE_ITEMS_DEFAULT, Limit
from backend.app.routes.policy import PUBLIC
from backend.app.routes.price_routes import SymbolPath
from backend.app.routes.problems import refusals
from backend.app.schemas.market_schemas import (
    ExchangeDocument,
    MarketAsset,
    MarketAssetPage,
    MarketSymbol,
    MarketSymbolPage,
    SymbolFilter,
)

CURSOR_LENGTH_MAX: Final = 200

router = APIRouter(tags=["reference"], dependencies=[Depends(PUBLIC)])

PlaceCursor = Annotated[
    str | None,
    Query(max_length=CURSOR_LENGTH_MAX, description="`next_cursor` of the last page"),
]
_Code = Annotated[str, Path(min_length=1, max_length=20)]


@router.get("/symbols", responses=refusals(BadRequest))
async def list_symbols(
    market: MarketDep,
    wanted: Annotated[SymbolFilter, Depends()],
    limit: Limit = PAGE_ITEMS_DEFAULT,
    cursor: PlaceCursor = None,
) -> MarketSymbolPage:
    """List the markets that are kept, with the steps their prices and amounts move in."""
    return await market.reference.symbols(wanted, limit, cursor)


@router.get("/symbols/{symbol:path}", responses=refusals(SymbolUnknown, MarketDataUnavailable))
async def show_symbol(symbol: SymbolPath, market: MarketDep) -> list[MarketSymbol]:
    """Return a symbol as each exchange lists it."""
    return await market.reference.symbol(symbol)


@router.get("/assets", responses=refusals(BadRequest))
async def list_assets(
    market: MarketDep, limit: Limit = PAGE_ITEMS_DEFAULT, cursor: PlaceCursor = None
) -> MarketAssetPage:
    """List what is traded."""
    return await market.reference.assets(limit, cursor)


@router.get("/assets/{code}", responses=refusals(AssetUnknown))
async def show_asset(code: _Code, market: MarketDep) -> MarketAsset:
    """Return one asset."""
    return await market.reference.asset(code)


@router.get(
    "/exchange-info/{symbol:path}", responses=refusals(SymbolUnknown, MarketDataUnavailable)
)
async def show_exchange_info(symbol: SymbolPath, market: MarketDep) -> list[ExchangeDocument]:
    """Return what each exchange's own document says of a symbol now."""
    return await market.reference.documents(symbol)
