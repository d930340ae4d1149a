"""What a batch has brought about so far, while it is carried out."""

from collections.abc import Sequence

from backend.app.venue.batch import (
    Batch,
    Fill,
    Line,
    OrderChange,
    OrderStatus,
    Outcome,
    PlacedOrder,
    Trade,
)
from backend.app.venue.commands import Command, NewOrder
from backend.app.venue.events import Event, Traded, Triggered
from backend.app.venue.open_orders import OpenOrder, StopOrder

_OPEN = OrderStatus.OPEN
_new = tuple.__new__


class Record:
    """The commands of a batch that were carried out, and all they did."""

    def __init__(self, first_number: int, next_trade_id: int) -> None:
        self.next_number = self.first_number = first_number
        self.next_trade_id = next_trade_id
        self.commands: list[Command] = []
        self.outcomes: list[Outcome] = []
        self.placed: list[OpenOrder] = []
        self.orders: list[NewOrder] = []
        self.trades: list[Trade] = []
        self.fills: list[Fill] = []
        self.lines: list[Line] = []
        # Orders from before that something happened to.
        self._touched: dict[int, OpenOrder] = {}
        self._cancelled: set[int] = set()

    def tell(self, instrument_id: int, events: Sequence[Event]) -> None:
        """Note what happened in a book."""
        first, trade_id, trades = self.first_number, self.next_trade_id, self.trades
        for event in events:
            if isinstance(event, Traded):
                maker, order, price, quantity = event
                ids = maker.order_id, order.order_id
                trades.append(
                    _new(Trade, (trade_id, instrument_id, *ids, order.side, price, quantity))
                )
                trade_id += 1
                if ids[0] < first:
                    self._touched[ids[0]] = maker
            else:
                order = event.order
                if not isinstance(event, Triggered):
                    self._cancelled.add(order.order_id)
            if order.order_id < first:
                self._touched[order.order_id] = order
        self.next_trade_id = trade_id

    def batch(self) -> Batch:
        """Return the batch as it is to be written; what comes after it is another one's."""
        placed = []
        for order, command in zip(self.placed, self.orders, strict=True):
            # Most orders: told at once.
            if order.traded or type(order) is not OpenOrder or self._cancelled:
                status = self._status(order)
            else:
                status = _OPEN
            placed.append(
                _new(PlacedOrder, (order.order_id, command, order.traded, order.value, status))
            )
            order.traded = order.value = 0
        changed = {}
        for number, order in self._touched.items():
            changed[number] = OrderChange(order.traded, order.value, self._status(order))
            order.traded = order.value = 0
        return Batch(
            self.first_number,
            self.commands,
            self.outcomes,
            placed,
            changed,
            self.trades,
            self.fills,
            self.lines,
        )

    def _status(self, order: OpenOrder) -> OrderStatus:
        if not order.left:
            return OrderStatus.FILLED
        if order.order_id in self._cancelled:
            return OrderStatus.CANCELLED
        if order.traded:
            return OrderStatus.PARTIALLY_FILLED
        if isinstance(order, StopOrder) and order.waits:
            return OrderStatus.WAITING
        return _OPEN
