"""A desk in memory: the venue's own core without a journal, and the house that trades at it.

The house is an account like the others, with more money than anybody can ask for. It quotes both
sides of a book while somebody looks, and takes what the wandering price passes. Nothing here
waits, so no two requests can mix.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from backend.app.exchanges import market_values
from backend.app.sandbox import venue_words
from backend.app.sandbox.house import House
from backend.app.sandbox.memory_past import AccountPast, MemoryPast, Traded
from backend.app.sandbox.order_rules import PRICE_RATIO_MAX
from backend.app.services.venue.desk import Answer, Depth
from backend.app.services.venue.plan import Plan
from backend.app.services.venue.spot_markets import SPOT_SHARD, Markets
from backend.app.venue.batch import Batch
from backend.app.venue.books import Books
from backend.app.venue.commands import CancelAllOrders, Command, MoveFunds, NewOrder
from backend.app.venue.instruments import Instrument
from backend.app.venue.orders import QUANTITY_MAX, Side, TimeInForce
from backend.app.venue.wallets import Holding

HOUSE: Final = 1
HOUSE_ATOMS: Final = 10**40
"""What the house has of everything. The largest order of the core costs less."""
_FIRST_ACCOUNT: Final = HOUSE + 1
_FIRST_NUMBER: Final = SPOT_SHARD * 2**40 + 1


class MemoryDesk:
    """A VenueDesk that lasts as long as the process, and what its accounts look back on."""

    def __init__(self, houses: Sequence[House], now_ms: Callable[[], int]) -> None:
        instruments = [_instrument(number, each) for number, each in enumerate(houses, 1)]
        traded = map(Traded, (each.listing.market for each in houses), instruments)
        self.markets: Final = Markets(instruments)
        self._houses: Mapping[int, House] = dict(enumerate(houses, 1))
        self._clock = now_ms
        self._settled_ms = now_ms()
        self._past = MemoryPast(dict(enumerate(traded, 1)))
        self._accounts = 0
        self._books = Books(instruments, _FIRST_NUMBER, next_trade_id=1)
        # What the house would offer next, where it has offered something.
        self._offers: dict[tuple[int, Side], Iterator[NewOrder]] = {}
        # Where the house or somebody else may have an order in the book.
        self._busy: set[int] = set()
        self._do([MoveFunds(HOUSE, each, HOUSE_ATOMS, each) for each in self.markets.assets])

    async def open_account(self, name: str) -> int:
        """Return the id of a new account."""
        account_id = _FIRST_ACCOUNT + self._accounts
        self._accounts += 1
        self._past.open_account(account_id)
        return account_id

    async def carry_out(self, commands: Sequence[Command]) -> list[Answer]:
        """Carry out commands one after the other; see `VenueDesk`."""
        self._settle()
        placed = [each for each in commands if isinstance(each, NewOrder)]
        for order in placed:
            self._do(list(self._counterparts(order)))
        batch = self._do(commands)
        for order in placed:
            # What is left of an order at the house's price or better, it takes too.
            self._pass(order.instrument_id, self._settled_ms, self._settled_ms)
        now = venue_words.moment(self._settled_ms)
        return Plan(commands, has_names=False, known={}).answers(batch, now)

    async def open_orders(self, account_id: int, instrument_id: int | None) -> list[int]:
        """Return the ids of an account's open orders; see `VenueDesk`."""
        self._settle()
        return self._books.open_orders_of(account_id, instrument_id)

    async def depth(self, instrument_id: int, levels_max: int) -> Depth:
        """Return the book of an instrument; see `VenueDesk`."""
        self._settle()
        for side in Side:
            self._do(list(islice(self._offered(instrument_id, side), levels_max)))
        bids, asks = (self._books.depth(instrument_id, side, levels_max) for side in Side)
        return Depth(bids, asks)

    def past(self, account_id: int) -> AccountPast:
        """Return what is remembered of an account, after every fill up to now."""
        self._settle()
        return self._past.of(account_id)

    def holdings(self) -> Iterator[Holding]:
        """Walk what anybody has, after every fill up to now."""
        self._settle()
        return self._books.holdings()

    def _settle(self) -> None:
        """Let the house pass along its path from the last time until now.

        A clock that is set back is only another way for the price to move.
        """
        before_ms, now_ms = self._settled_ms, self._clock()
        if now_ms == before_ms:
            return
        self._settled_ms = now_ms
        for instrument_id in sorted(self._busy):
            self._pass(instrument_id, min(before_ms, now_ms), max(before_ms, now_ms))

    def _pass(self, instrument_id: int, start_ms: int, end_ms: int) -> None:
        """Let the house take its quotes back, and trade with whatever its price reaches."""
        taken_back = [self._offers.pop((instrument_id, side), None) for side in Side]
        if any(taken_back):
            self._do([CancelAllOrders(HOUSE, instrument_id)])
        if any(self._books.depth(instrument_id, side, 1) for side in Side):
            self._do(list(self._taking(instrument_id, start_ms, end_ms)))
        else:
            self._busy.discard(instrument_id)

    def _taking(self, instrument_id: int, start_ms: int, end_ms: int) -> Iterator[NewOrder]:
        house, instrument = self._houses[instrument_id], self.markets.by_id[instrument_id]
        low, high = house.path.lowest_and_highest(start_ms, end_ms)
        for side, reach in ((Side.SELL, low + house.gap), (Side.BUY, high - house.gap)):
            price = int(reach * instrument.ticks_per_unit)
            # Whoever rests is the maker, and trades at the own price.
            yield NewOrder(
                HOUSE, instrument_id, side, price, QUANTITY_MAX, time_in_force=TimeInForce.IOC
            )

    def _counterparts(self, order: NewOrder) -> Iterator[NewOrder]:
        """Yield offers of the house, until they are enough for an order by themselves."""
        other = Side.SELL if order.side is Side.BUY else Side.BUY
        lot_cost = self.markets.by_id[order.instrument_id].tick_lot_atoms
        wanted, offered = order.quantity, 0
        for offer in self._offered(order.instrument_id, other):
            yield offer
            offered += offer.quantity
            # All that is bought for a budget costs this much at least.
            wanted = wanted or (order.budget or 0) // ((offer.price or 1) * lot_cost) + 1
            if offered >= wanted:
                return

    def _offered(self, instrument_id: int, side: Side) -> Iterator[NewOrder]:
        """Return what the house offers now and has not put into the book, the best first."""
        place = instrument_id, side
        if place not in self._offers:
            self._busy.add(instrument_id)
            self._offers[place] = self._all_offers(instrument_id, side)
        return self._offers[place]

    def _all_offers(self, instrument_id: int, side: Side) -> Iterator[NewOrder]:
        house, instrument = self._houses[instrument_id], self.markets.by_id[instrument_id]
        for level in house.levels(market_values.Side(side), self._settled_ms):
            price = int(level.price * instrument.ticks_per_unit)
            lots = int(level.amount * instrument.lots_per_unit)
            yield NewOrder(HOUSE, instrument_id, side, price, lots)

    def _do(self, commands: Sequence[Command]) -> Batch:
        batch = self._books.carry_out(commands)
        self._past.take(batch, self._settled_ms)
        return batch


def _instrument(number: int, house: House) -> Instrument:
    market = house.listing.market
    dearest = house.listing.middle_price * PRICE_RATIO_MAX
    return Instrument(
        id=number,
        symbol=market.symbol,
        name=market.symbol,
        quote_asset=market.quote,
        ticks_per_unit=int(1 / market.tick_size),
        price_ticks_min=1,
        price_ticks_max=int(dearest / market.tick_size),
        order_lots_max=int(market.max_amount / market.step_size),
        base_asset=market.base,
        lots_per_unit=int(1 / market.step_size),
    )
