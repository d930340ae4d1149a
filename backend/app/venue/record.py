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

_OPEN, _FILLED = OrderStatus.OPEN, OrderStatus.FILLED
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
        first, trade_id = self.first_number, self.next_trade_id
        for event in events:
            if isinstance(event, Traded):
                maker, order, price, quantity = event
                maker_id, order_id = maker.order_id, order.order_id
                said = trade_id, instrument_id, maker_id, order_id, order.side, price, quantity
                self.trades.append(_new(Trade, said))
                trade_id += 1
                if maker_id < first:
                    self._touched[maker_id] = maker
            else:
                order = event.order
                order_id = order.order_id
                if not isinstance(event, Triggered):
                    self._cancelled.add(order_id)
            if order_id < first:
                self._touched[order_id] = order
        self.next_trade_id = trade_id

    def batch(self) -> Batch:
        """Return the batch as it is to be written; what comes after it is another one's."""
        placed: list[PlacedOrder] = []
        is_simple = not self._cancelled
        for order, command in zip(self.placed, self.orders, strict=True):
            traded, status = order.traded, _OPEN
            # Most orders: told at once.
            if is_simple and not traded and type(order) is OpenOrder:
                placed.append(_new(PlacedOrder, (order.order_id, command, 0, 0, status)))
                continue
            status = self._status(order) if order.left else _FILLED
            placed.append(_new(PlacedOrder, (order.order_id, command, traded, order.value, status)))
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
            return _FILLED
        if order.order_id in self._cancelled:
            return OrderStatus.CANCELLED
        if order.traded:
            return OrderStatus.PARTIALLY_FILLED
        if isinstance(order, StopOrder) and order.waits:
            return OrderStatus.WAITING
        return _OPEN
