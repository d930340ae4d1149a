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

_FILLED, _OPEN = OrderStatus.FILLED, OrderStatus.OPEN
_new = tuple.__new__


class Record:
    """The commands of a batch that were carried out, and all they did."""

    def __init__(self, first_number: int, next_trade_id: int) -> None:
        self.next_number = self.first_number = first_number
        self.next_trade_id = next_trade_id
        self.commands: list[Command] = []
        self.outcomes: list[Outcome] = []
        # New orders, with the quantity each came with.
        self.placed: list[tuple[OpenOrder, NewOrder, int]] = []
        self.trades: list[Trade] = []
        self.fills: list[Fill] = []
        self.lines: list[Line] = []
        # Orders from before, and what they traded: quantity and value.
        self._touched: dict[int, tuple[OpenOrder, int, int]] = {}
        self._cancelled: set[int] = set()

    def tell(self, instrument_id: int, events: Sequence[Event]) -> None:
        """Note what happened in a book."""
        for event in events:
            if isinstance(event, Traded):
                maker, taker, price, quantity = event
                maker_id, taker_id = maker.order_id, taker.order_id
                self.trades.append(
                    _new(
                        Trade,
                        (
                            self.next_trade_id,
                            instrument_id,
                            maker_id,
                            taker_id,
                            taker.side,
                            price,
                            quantity,
                        ),
                    )
                )
                self.next_trade_id += 1
                if maker_id < self.first_number:
                    self._touch(maker, quantity, price * quantity)
                if taker_id < self.first_number:
                    self._touch(taker, quantity, price * quantity)
                continue
            order = event.order
            if not isinstance(event, Triggered):
                self._cancelled.add(order.order_id)
            if order.order_id < self.first_number:
                self._touch(order, 0, 0)

    def batch(self) -> Batch:
        """Return the batch as it is to be written."""
        placed = [
            _new(
                PlacedOrder,
                (
                    order.order_id,
                    command,
                    quantity - order.left,
                    order.value,
                    # Most orders: told at once.
                    _FILLED if not order.left else self._status(order),
                ),
            )
            for order, command, quantity in self.placed
        ]
        changed = {
            order_id: OrderChange(executed, value, self._status(order))
            for order_id, (order, executed, value) in self._touched.items()
        }
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

    def _touch(self, order: OpenOrder, quantity: int, value: int) -> None:
        touched = self._touched.get(order.order_id)
        if touched is not None:
            quantity, value = quantity + touched[1], value + touched[2]
        self._touched[order.order_id] = order, quantity, value

    def _status(self, order: OpenOrder) -> OrderStatus:
        if not order.left:
            return _FILLED
        if order.order_id in self._cancelled:
            return OrderStatus.CANCELLED
        if order.value:
            return OrderStatus.PARTIALLY_FILLED
        if isinstance(order, StopOrder) and order.waits:
            return OrderStatus.WAITING
        return _OPEN
