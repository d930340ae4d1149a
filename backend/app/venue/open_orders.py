"""Orders that rest: one side of a book, best price first, oldest first within a price."""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import Final

from backend.app.venue.orders import Place, SelfTrade, Side, TimeInForce

_STALE_PRICES_MAX: Final = 64


class OpenOrder:
    """An order in a book, or on its way in. While it rests it is linked to its neighbours.

    `traded` and `value` (the sum of price x quantity) are those of the batch under way.
    """

    __slots__ = (
        "account_id",
        "after",
        "before",
        "left",
        "level",
        "order_id",
        "price",
        "side",
        "traded",
        "value",
    )

    def __init__(
        self, order_id: int, account_id: int, side: Side, price: int | None, left: int
    ) -> None:
        self.order_id = order_id
        self.account_id = account_id
        self.side = side
        self.price = price
        self.left = left
        self.traded = self.value = 0
        self.level: PriceLevel | None = None
        self.before: OpenOrder | None = None
        self.after: OpenOrder | None = None


class StopOrder(OpenOrder):
    """An order that waits for its stop price, and is a limit order from then on."""

    __slots__ = ("self_trade", "stop_price", "time_in_force", "waits")

    def __init__(self, place: Place, stop_price: int) -> None:
        super().__init__(place.order_id, place.account_id, place.side, place.price, place.quantity)
        self.stop_price = stop_price
        self.time_in_force: TimeInForce = place.time_in_force
        self.self_trade: SelfTrade = place.self_trade
        self.waits = True


class PriceLevel:
    """The queue at one price, and how much rests in it."""

    __slots__ = ("first", "last", "price", "quantity")

    def __init__(self, price: int, order: OpenOrder) -> None:
        self.price = price
        self.quantity = order.left
        self.first: OpenOrder | None = order
        self.last: OpenOrder = order

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
        elif before is not None:
            level.last = before
        else:
            self._drop(level)

    def pop_first(self, level: PriceLevel) -> None:
        """Take the first order of a level out: the one that is filled now."""
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
        """Walk the levels, the best first. It costs what is walked, not what is there."""
        heap, found = self._heap, 0
        # A heap's next is always a child of one that came before.
        frontier = [(heap[0], 0)] if heap else []
        while frontier:
            key, place = heappop(frontier)
            for child in (2 * place + 1, 2 * place + 2):
                if child < len(heap):
                    heappush(frontier, (heap[child], child))
            level = self._levels.get(self._sign * key)
            # A price may be in there twice: left behind once, and added again.
            if level is not None and key != found:
                found = key
                yield level

    def offers(
        self, limit: int | None, account_id: int, self_trade: SelfTrade
    ) -> Iterator[tuple[int, int]]:
        """Walk what an order of the other side could trade with: prices and quantities."""
        for level in self.levels():
            if limit is not None and level.price * self._sign > limit * self._sign:
                return
            if self_trade is SelfTrade.ALLOW:
                yield level.price, level.quantity
                continue
            for maker in level:
                if maker.account_id != account_id:
                    yield level.price, maker.left
                elif self_trade is not SelfTrade.CANCEL_MAKER:
                    return

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
