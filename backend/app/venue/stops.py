"""Orders that wait for a trade at their stop price."""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final

from backend.app.venue.open_orders import StopOrder
from backend.app.venue.orders import Side

_STALE_ENTRIES_MAX: Final = 64


class WaitingStops:
    """The stop orders of a book: those that are reached first come first, then the oldest."""

    def __init__(self) -> None:
        self._arrivals = count()
        self._buys: list[tuple[int, int, int]] = []
        self._sells: list[tuple[int, int, int]] = []
        # By order id, the oldest first.
        self.orders: dict[int, StopOrder] = {}

    def add(self, order: StopOrder) -> None:
        """Let an order wait."""
        self.orders[order.order_id] = order
        arrival = next(self._arrivals)
        if order.side is Side.BUY:
            heappush(self._buys, (order.stop_price, arrival, order.order_id))
        else:
            heappush(self._sells, (-order.stop_price, arrival, order.order_id))

    def remove(self, order_id: int) -> None:
        """Let an order wait no longer."""
        side = self.orders.pop(order_id).side
        heap = self._buys if side is Side.BUY else self._sells
        if len(heap) > 2 * len(self.orders) + _STALE_ENTRIES_MAX:
            heap[:] = [entry for entry in heap if entry[2] in self.orders]
            heapify(heap)

    def take_reached(self, low: int, high: int) -> list[StopOrder]:
        """Take out all orders whose stop prices trades between two prices have reached.

        Buys wait for a rise, sells for a fall; whoever waits longest comes first.
        """
        reached = [*self._reached(self._buys, high), *self._reached(self._sells, -low)]
        return [self.orders.pop(order_id) for _, order_id in sorted(reached)]

    def _reached(self, heap: list[tuple[int, int, int]], bound: int) -> Iterator[tuple[int, int]]:
        while heap and heap[0][0] <= bound:
            _, arrival, order_id = heappop(heap)
            # An order that was cancelled left its entry behind.
            if order_id in self.orders:
                yield arrival, order_id
