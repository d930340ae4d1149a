"""What everybody may know of the spot markets: their rules, their books, their trades."""

from typing import Final

from backend.app.database import Database
from backend.app.repositories.venue_repository import VenueRepository
from backend.app.schemas.venue_market_schemas import BookShown, MarketShown, TradePage
from backend.app.services.venue import market_shown
from backend.app.services.venue.amounts import in_full, in_short
from backend.app.services.venue.desk import VenueDesk
from backend.app.services.venue.spot_markets import ShardMarkets
from backend.app.venue.instruments import ATOMS_PER_UNIT, Instrument

_PPM: Final = 10**6


class VenueMarketService:
    """Shows the spot markets to everybody."""

    def __init__(self, database: Database, markets: ShardMarkets, desk: VenueDesk) -> None:
        self._database = database
        self._markets = markets
        self._desk = desk

    async def list_markets(self) -> list[MarketShown]:
        """Return the markets with the rules of their orders."""
        return [_market(each) for each in (await self._markets.all()).by_id.values()]

    async def get_market(self, name: str) -> MarketShown:
        """Return a market by any of its names.

        Raises:
            SymbolUnknown: there is none of that name.
        """
        return _market(await self._markets.named(name))

    async def get_book(self, name: str, levels_max: int) -> BookShown:
        """Return what waits at a market's best prices, as it is committed.

        Raises:
            SymbolUnknown: there is none of that name.
            EngineElsewhere, VenueBusy: the book is not at hand.
        """
        market = await self._markets.named(name)
        return market_shown.book(market, await self._desk.depth(market.id, levels_max))

    async def list_trades(self, name: str, limit: int, cursor: int | None) -> TradePage:
        """Return a market's trades, the newest first.

        Raises:
            SymbolUnknown: there is none of that name.
        """
        market = await self._markets.named(name)
        async with self._database.snapshot() as session:
            found = await VenueRepository(session).trades(market.id, cursor, limit + 1)
        return TradePage(
            items=[market_shown.trade(market, each) for each in found[:limit]],
            next_cursor=str(found[limit - 1].id) if len(found) > limit else None,
        )


def _market(market: Instrument) -> MarketShown:
    ticks, lots = market.ticks_per_unit, market.lots_per_unit
    return MarketShown(
        symbol=market.symbol,
        base_asset=market.base_asset or "",
        quote_asset=market.quote_asset,
        is_active=market.is_active,
        tick_size=in_full(1, ticks),
        price_min=in_full(market.price_ticks_min, ticks),
        price_max=in_full(market.price_ticks_max, ticks),
        step_size=in_full(1, lots),
        quantity_max=in_full(market.order_lots_max, lots),
        min_notional=in_short(market.notional_atoms_min, ATOMS_PER_UNIT),
        maker_fee_rate=in_short(market.maker_fee_ppm, _PPM),
        taker_fee_rate=in_short(market.taker_fee_ppm, _PPM),
    )
