"""Orders that wait for a trade at their stop price."""

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count

from backend.app.venue.orders import Place, Side


class WaitingStops:
    """The stop orders of a book: those that are reached first come first, then the oldest."""

    def __init__(self) -> None:
        self._arrivals = count()
        self._buys: list[tuple[int, int, int]] = []
        self._sells: list[tuple[int, int, int]] = []
        # By order id: when it arrived, and what it is.
        self.places: dict[int, tuple[int, Place]] = {}

    def add(self, place: Place, stop_price: int) -> None:
        """Let an order wait."""
        arrival = next(self._arrivals)
        self.places[place.order_id] = arrival, place
        if place.side is Side.BUY:
            heappush(self._buys, (stop_price, arrival, place.order_id))
        else:
            heappush(self._sells, (-stop_price, arrival, place.order_id))

    def remove(self, order_id: int) -> None:
        """Let an order wait no longer."""
        del self.places[order_id]

    def take_reached(self, low: int, high: int) -> list[Place]:
        """Take out all orders whose stop prices trades between two prices have reached.

        Buys wait for a rise, sells for a fall; whoever waits longest comes first.
        """
        reached = [*self._reached(self._buys, high), *self._reached(self._sells, -low)]
        return [self.places.pop(order_id)[1] for _, order_id in sorted(reached)]

    def in_order_of_arrival(self) -> list[Place]:
        """Return every waiting order, the oldest first."""
        return [place for _, place in sorted(self.places.values())]

    def _reached(self, heap: list[tuple[int, int, int]], bound: int) -> Iterator[tuple[int, int]]:
        while heap and heap[0][0] <= bound:
            _, arrival, order_id = heappop(heap)
            # An order that was cancelled left its entry behind.
            if order_id in self.places:
                yield arrival, order_id
