"""Orders that rest: one side of a book, best price first, oldest first within a price."""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import Final

from backend.app.venue.orders import Place, Side

_STALE_PRICES_MAX: Final = 64


class OpenOrder:
    """An order with something left. While it rests it is linked to its neighbours in the queue."""

    __slots__ = ("after", "before", "left", "level", "place")

    def __init__(self, place: Place, left: int) -> None:
        self.place = place
        self.left = left
        self.level: PriceLevel | None = None
        self.before: OpenOrder | None = None
        self.after: OpenOrder | None = None


class PriceLevel:
    """The queue at one price, and how much rests in it."""

    __slots__ = ("first", "last", "price", "quantity")

    def __init__(self, price: int, order: OpenOrder) -> None:
        self.price = price
        self.quantity = order.left
        self.first: OpenOrder | None = order
        self.last: OpenOrder | None = order

    def __iter__(self) -> Iterator[OpenOrder]:
        order = self.first
        while order is not None:
            yield order
            order = order.after


class BookSide:
    """All orders that rest on one side. `best` is the level whose orders trade next."""

    def __init__(self, side: Side) -> None:
        self.best: PriceLevel | None = None
        self._levels: dict[int, PriceLevel] = {}
        # Every price with a level, and some without one any more; the best comes out first.
        self._heap: list[int] = []
        self._sign: Final = -1 if side is Side.BUY else 1

    def add(self, order: OpenOrder, price: int) -> None:
        """Let an order rest at a price, behind those that are there."""
        level = self._levels.get(price)
        if level is None:
            self._levels[price] = level = PriceLevel(price, order)
            key = self._sign * price
            heappush(self._heap, key)
            if self.best is None or key < self._sign * self.best.price:
                self.best = level
        else:
            last = level.last
            order.before = last
            if last is not None:
                last.after = order
            level.last = order
            level.quantity += order.left
        order.level = level

    def remove(self, order: OpenOrder) -> None:
        """Take an order out of its queue, wherever it stands."""
        level = order.level
        if level is None:
            return
        level.quantity -= order.left
        before, after = order.before, order.after
        order.level = order.before = order.after = None
        if before is not None:
            before.after = after
        else:
            level.first = after
        if after is not None:
            after.before = before
        else:
            level.last = before
            if before is None:
                self._drop(level)

    def pop_first(self, level: PriceLevel) -> None:
        """Take the first order of a level out: the one that was filled."""
        order = level.first
        if order is None:
            return
        level.first = after = order.after
        order.level = order.after = None
        if after is None:
            self._drop(level)
        else:
            level.quantity -= order.left
            after.before = None

    def levels(self) -> Iterator[PriceLevel]:
        """Walk the levels, the best first."""
        for key in sorted(self._sign * price for price in self._levels):
            yield self._levels[self._sign * key]

    def _drop(self, level: PriceLevel) -> None:
        del self._levels[level.price]
        if level is self.best:
            self.best = self._next_best()
        elif len(self._heap) > 2 * len(self._levels) + _STALE_PRICES_MAX:
            self._heap = [self._sign * price for price in self._levels]
            heapify(self._heap)

    def _next_best(self) -> PriceLevel | None:
        heap = self._heap
        while heap:
            level = self._levels.get(self._sign * heap[0])
            if level is not None:
                return level
            heappop(heap)
        return None
