"""The books of one shard, and what a batch of orders does to them and to what is stored."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from backend.app.venue.events import Traded
from backend.app.venue.order_book import OrderBook
from backend.app.venue.orders import Place, Side


class Instrument(NamedTuple):
    """What may be asked of an instrument: prices in ticks, quantities in lots."""

    id: int
    symbol: str
    name: str
    quote_asset: str
    ticks_per_unit: int
    price_ticks_min: int
    price_ticks_max: int
    order_lots_max: int


class NewOrder(NamedTuple):
    """A limit order, good till cancelled, that has no number yet."""

    account_id: int
    instrument_id: int
    side: Side
    price: int
    quantity: int = 1
    client_order_id: str | None = None


class OpenOrder(NamedTuple):
    """An order of before with something left, as it is put back into its book."""

    id: int
    account_id: int
    instrument_id: int
    side: Side
    price: int
    left: int


class Trade(NamedTuple):
    """Two orders that met."""

    id: int
    instrument_id: int
    maker_order_id: int
    taker_order_id: int
    taker_side: Side
    price: int
    quantity: int


@dataclass(frozen=True)
class Batch:
    """What a sequence of orders brought about: all that has to be written of it."""

    first_order_id: int
    orders: Sequence[NewOrder]
    executed: Sequence[int]
    """How much of each of these orders has traded by the end of the batch."""
    fills: dict[int, int]
    """How much of orders from before this batch has traded in it, by order id."""
    trades: Sequence[Trade]


class OrderImpossible(Exception):
    """A book refuses an order that was checked before: a defect, or a damaged journal."""


class Books:
    """All books of one shard. It numbers orders and trades; what it does follows from its input."""

    def __init__(self, instrument_ids: Iterable[int], next_order_id: int, next_trade_id: int):
        self._books = {each: OrderBook() for each in instrument_ids}
        self._next_order_id = next_order_id
        self._next_trade_id = next_trade_id

    def restore(self, order: OpenOrder) -> None:
        """Let an order of before rest where it was. To be called in the order of their ids.

        Raises:
            OrderImpossible: it would trade, so it cannot have rested.
        """
        place = Place(order.id, order.account_id, order.side, order.left, order.price)
        if self._books[order.instrument_id].apply(place):
            raise OrderImpossible(f"order {order.id}")

    def restore_price(self, instrument_id: int, price: int) -> None:
        """Remember the price of an instrument's last trade."""
        self._books[instrument_id].last_price = price

    def carry_out(self, orders: Sequence[NewOrder]) -> Batch:
        """Number the orders, apply them one by one, and return what is to be written.

        Raises:
            OrderImpossible: one was not checked. These books are then worth nothing.
        """
        first = self._next_order_id
        self._next_order_id += len(orders)
        books, executed = self._books, [0] * len(orders)
        fills: dict[int, int] = {}
        trades: list[Trade] = []
        trade_id = self._next_trade_id
        for taker, (account, instrument, side, price, quantity, _) in enumerate(orders, first):
            for event in books[instrument].apply(Place(taker, account, side, quantity, price)):
                if not isinstance(event, Traded):
                    raise OrderImpossible(f"order {taker}")
                maker, _, traded_price, traded = event
                executed[taker - first] += traded
                if maker >= first:
                    executed[maker - first] += traded
                else:
                    fills[maker] = fills.get(maker, 0) + traded
                trades.append(Trade(trade_id, instrument, maker, taker, side, traded_price, traded))
                trade_id += 1
        self._next_trade_id = trade_id
        return Batch(first, orders, executed, fills, trades)

    def depth(self, instrument_id: int, side: Side, levels_max: int) -> list[tuple[int, int]]:
        """Return the best prices of a side of a book, each with what rests at it."""
        return self._books[instrument_id].depth(side, levels_max)

    def open_orders(self) -> Iterator[tuple[int, int]]:
        """Walk what rests anywhere: each order's id and what is left of it."""
        for book in self._books.values():
            for place, left in book.open_orders():
                yield place.order_id, left
