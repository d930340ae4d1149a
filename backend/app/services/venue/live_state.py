"""How things stand, for whoever begins to listen to a channel of the venue."""

from collections.abc import Mapping
from typing import Any, Final

from backend.app.database import Database
from backend.app.services.venue import market_shown, order_shown
from backend.app.services.venue.desk import VenueDesk
from backend.app.services.venue.open_orders import open_orders
from backend.app.services.venue.spot_markets import ShardMarkets
from backend.app.services.venue.venue_feed import BOOK_LEVELS_TOLD

OPEN_ORDERS_TOLD_MAX: Final = 200


class BookNow:
    """The book of a market as it is."""

    def __init__(self, markets: ShardMarkets, desk: VenueDesk, symbol: str) -> None:
        self._markets = markets
        self._desk = desk
        self._symbol = symbol

    async def snapshot(self) -> Mapping[str, Any]:
        """Return what waits at the best prices.

        Raises:
            EngineElsewhere, VenueBusy: the book is not at hand.
        """
        market = await self._markets.named(self._symbol)
        depth = await self._desk.depth(market.id, BOOK_LEVELS_TOLD)
        return market_shown.book(market, depth).model_dump(mode="json")


class OpenOrdersNow:
    """A user's open orders, the newest first."""

    def __init__(
        self, database: Database, markets: ShardMarkets, desk: VenueDesk, user_id: int
    ) -> None:
        self._database = database
        self._markets = markets
        self._desk = desk
        self._user_id = user_id

    async def snapshot(self) -> Mapping[str, Any]:
        """Return the open orders; `more` says that there are others."""
        markets = await self._markets.all()
        found, next_id = await open_orders(
            self._database, self._desk, self._user_id, rows_max=OPEN_ORDERS_TOLD_MAX
        )
        shown = [order_shown.stored(markets.by_id[each.instrument_id], each) for each in found]
        return {
            "orders": [each.model_dump(mode="json") for each in shown],
            "more": next_id is not None,
        }
