"""One instrument's order book: price-time priority, trades at the resting order's price."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from backend.app.venue.events import (
    Cancelled,
    CancelReason,
    Event,
    RejectReason,
    Traded,
    Triggered,
)
from backend.app.venue.open_orders import BookSide, OpenOrder, StopOrder
from backend.app.venue.orders import (
    PRICE_MAX,
    QUANTITY_MAX,
    OrderType,
    Place,
    SelfTrade,
    Side,
    TimeInForce,
)
from backend.app.venue.stops import WaitingStops

OPEN_ORDERS_PER_ACCOUNT_MAX: Final = 1_000
"""In one book, those that wait for their stop price included."""
_GTC, _IOC, _FOK = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK
_POST_ONLY = TimeInForce.POST_ONLY
_MARKET, _STOP_LIMIT = OrderType.MARKET, OrderType.STOP_LIMIT
_ALLOW, _BUY = SelfTrade.ALLOW, Side.BUY
_NOTHING: Final[Sequence[Event]] = ()
# What a named tuple's own constructor does, without its detour (bench/matching.py).
_new = tuple.__new__


class OrderBook:
    """Takes orders in and out, one by one. The ids of its orders grow, so that each is new.

    What `refusal` lets pass can be placed; nothing here raises.
    """

    def __init__(self) -> None:
        self.last_order_id = 0
        self.last_price: int | None = None
        self._bids = BookSide(Side.BUY)
        self._asks = BookSide(Side.SELL)
        self._stops = WaitingStops()
        # Stop orders whose price was reached, and that have not entered yet.
        self._triggered: deque[StopOrder] = deque()
        self._open: dict[int, dict[int, OpenOrder]] = {}

    @property
    def is_crossed(self) -> bool:
        """Whether what rests could trade: never so, unless it was put there wrongly."""
        bid, ask = self._bids.best, self._asks.best
        return bid is not None and ask is not None and bid.price >= ask.price

    def add(self, order: OpenOrder, price: int) -> Sequence[Event] | None:
        """Let a limit order in that is good till cancelled, and return what it brought about.

        None, if its account has too many open orders. Most orders are of this kind, and most of
        those rest: told at once, without the calls that others need (bench/matching.py).
        """
        account_id = order.account_id
        mine = self._open.get(account_id)
        if mine is not None and len(mine) >= OPEN_ORDERS_PER_ACCOUNT_MAX:
            return None
        self.last_order_id = order_id = order.order_id
        if order.side is _BUY:
            side, best = self._bids, self._asks.best
            rests = best is None or best.price > price
        else:
            side, best = self._asks, self._bids.best
            rests = best is None or best.price < price
        if not rests:
            events: list[Event] = []
            self._match(order, _ALLOW, events)
            if order.left:
                self.rest(order, price)
            if self._triggered:
                self._enter_triggered(events)
            return events
        side.add(order, price)
        if mine is None:
            self._open[account_id] = {order_id: order}
        else:
            mine[order_id] = order
        return _NOTHING

    def refusal(self, place: Place) -> RejectReason | None:
        """Return why an order cannot be placed, if it cannot."""
        if place.order_id <= self.last_order_id:
            return RejectReason.ORDER_ID_NOT_NEW
        if not 0 < place.quantity <= QUANTITY_MAX:
            return RejectReason.QUANTITY_OUT_OF_RANGE
        unfit = _unfit_price(place)
        if unfit is not None:
            return unfit
        may_rest = place.type is not _MARKET and place.time_in_force not in (_IOC, _FOK)
        if may_rest or place.type is _STOP_LIMIT:
            open_count = len(self._open.get(place.account_id, ()))
            if open_count >= OPEN_ORDERS_PER_ACCOUNT_MAX:
                return RejectReason.TOO_MANY_OPEN_ORDERS
        is_post_only = place.time_in_force is _POST_ONLY and place.type is not _STOP_LIMIT
        would_take = is_post_only and self._would_take(place.side, place.price)
        return RejectReason.WOULD_TAKE if would_take else None

    def place(self, place: Place, events: list[Event]) -> OpenOrder:
        """Let any order in that is not to be refused, and return it as it then stands."""
        order_id, account_id, side, quantity, price, kind, force, stop_price, self_trade = place
        self.last_order_id = order_id
        if kind is _STOP_LIMIT and stop_price is not None:
            stop = StopOrder(place, stop_price)
            if not self._is_reached(stop):
                self.wait(stop)
                return stop
            stop.waits = False
            order: OpenOrder = stop
        else:
            order = OpenOrder(order_id, account_id, side, price, quantity)
        self._enter(order, force, self_trade, events)
        self._enter_triggered(events)
        return order

    def cancel(self, order_id: int, account_id: int) -> Cancelled | None:
        """Take an open order of an account out, if there is such a one."""
        order = self._open.get(account_id, {}).get(order_id)
        return None if order is None else self._drop(order, CancelReason.ASKED)

    def cancel_all(self, account_id: int) -> list[Cancelled]:
        """Take every open order of an account out, in the order of their ids."""
        mine = sorted(self._open.get(account_id, {}).items())
        return [self._drop(order, CancelReason.ASKED) for _, order in mine]

    def offers(
        self, side: Side, limit: int | None, account_id: int, self_trade: SelfTrade
    ) -> Iterator[tuple[int, int]]:
        """Walk what an order of a side would trade with, the best first: prices and quantities."""
        resting = self._asks if side is _BUY else self._bids
        return resting.offers(limit, account_id, self_trade)

    def depth(self, side: Side, levels_max: int) -> list[tuple[int, int]]:
        """Return the best prices of a side, each with what rests at it."""
        levels = (self._bids if side is _BUY else self._asks).levels()
        return [(level.price, level.quantity) for level in islice(levels, levels_max)]

    def open_of(self, account_id: int) -> Iterable[int]:
        """Return the ids of an account's open orders, those that wait for their stop price too."""
        return self._open.get(account_id, ())

    def resting(self) -> Iterator[OpenOrder]:
        """Walk what rests: bids, then asks, the best price first, in the order of each queue."""
        for side in (self._bids, self._asks):
            for level in side.levels():
                yield from level

    def waiting(self) -> Iterator[StopOrder]:
        """Walk what waits for its stop price, the oldest first."""
        return iter(self._stops.orders.values())

    def rest(self, order: OpenOrder, price: int) -> None:
        """Let an order rest at a price, behind those that are there; it does not trade."""
        (self._bids if order.side is _BUY else self._asks).add(order, price)
        self._keep(order)

    def wait(self, order: StopOrder) -> None:
        """Let an order wait for its stop price, behind those that do."""
        self._stops.add(order)
        self._keep(order)

    def _enter_triggered(self, events: list[Event]) -> None:
        while self._triggered:
            order = self._triggered.popleft()
            self._enter(order, order.time_in_force, order.self_trade, events)

    def _is_reached(self, order: StopOrder) -> bool:
        if self.last_price is None:
            return False
        if order.side is _BUY:
            return self.last_price >= order.stop_price
        return self.last_price <= order.stop_price

    def _enter(
        self, order: OpenOrder, force: TimeInForce, self_trade: SelfTrade, events: list[Event]
    ) -> None:
        """Match an order, and let what is left rest or go, as its time in force says."""
        if force is not _GTC and (reason := self._kills(order, force, self_trade)) is not None:
            events.append(Cancelled(order, order.left, reason))
            return
        is_stopped = self._match(order, self_trade, events)
        left, price = order.left, order.price
        if not left:
            return
        if is_stopped:
            events.append(Cancelled(order, left, CancelReason.SELF_TRADE))
        elif price is None:
            events.append(Cancelled(order, left, CancelReason.NO_LIQUIDITY))
        elif force is _IOC:
            events.append(Cancelled(order, left, CancelReason.IMMEDIATE_OR_CANCEL))
        else:
            self.rest(order, price)

    def _kills(
        self, order: OpenOrder, force: TimeInForce, self_trade: SelfTrade
    ) -> CancelReason | None:
        """Return why an order may not trade at all, if its time in force says so."""
        if force is _POST_ONLY and self._would_take(order.side, order.price):
            return CancelReason.WOULD_TAKE
        if force is not _FOK:
            return None
        left = order.left
        for _, quantity in self.offers(order.side, order.price, order.account_id, self_trade):
            left -= quantity
            if left <= 0:
                return None
        return CancelReason.FILL_OR_KILL

    def _match(self, taker: OpenOrder, self_trade: SelfTrade, events: list[Event]) -> bool:
        """Trade with what rests; tell whether the taker has to end lest it trades with itself."""
        buys, left, limit, first_price, price = taker.side is _BUY, taker.left, taker.price, 0, 0
        resting = self._asks if buys else self._bids
        prevents = self_trade is not _ALLOW
        is_stopped = False
        while left:
            level = resting.best
            if level is None:
                break
            if limit is not None and (level.price > limit if buys else level.price < limit):
                break
            maker = level.first
            assert maker is not None  # noqa: S101 - an empty level is dropped at once
            if prevents and maker.account_id == taker.account_id:
                if self_trade is not SelfTrade.CANCEL_TAKER:
                    events.append(self._drop(maker, CancelReason.SELF_TRADE))
                if self_trade is not SelfTrade.CANCEL_MAKER:
                    is_stopped = True
                    break
                continue
            price, quantity = level.price, maker.left
            if quantity > left:
                quantity = left
                maker.left -= quantity
                level.quantity -= quantity
            else:
                resting.pop_first(level)
                maker.left = 0
                self._forget(maker)
            left -= quantity
            value = price * quantity
            maker.traded += quantity
            maker.value += value
            taker.value += value
            events.append(_new(Traded, (maker, taker, price, quantity)))
            first_price = first_price or price
        if first_price:
            taker.traded += taker.left - left
            taker.left = left
            self.last_price = price
            if self._stops.orders:
                self._trigger_stops(first_price, price, events)
        return is_stopped

    def _would_take(self, side: Side, limit: int | None) -> bool:
        level = (self._asks if side is _BUY else self._bids).best
        if level is None or limit is None:
            return level is not None
        return limit >= level.price if side is _BUY else limit <= level.price

    def _trigger_stops(self, first_price: int, last_price: int, events: list[Event]) -> None:
        """Let the stop orders enter that the trades of one order have reached."""
        # One order trades ever further away, so its first and last price are the extremes.
        low, high = min(first_price, last_price), max(first_price, last_price)
        for order in self._stops.take_reached(low, high):
            self._forget(order)
            order.waits = False
            events.append(Triggered(order))
            self._triggered.append(order)

    def _drop(self, order: OpenOrder, reason: CancelReason) -> Cancelled:
        if order.level is None:
            self._stops.remove(order.order_id)
        else:
            (self._bids if order.side is _BUY else self._asks).remove(order)
        self._forget(order)
        return Cancelled(order, order.left, reason)

    def _keep(self, order: OpenOrder) -> None:
        mine = self._open.get(order.account_id)
        if mine is None:
            self._open[order.account_id] = {order.order_id: order}
        else:
            mine[order.order_id] = order

    def _forget(self, order: OpenOrder) -> None:
        mine = self._open[order.account_id]
        if len(mine) == 1:
            del self._open[order.account_id]
        else:
            del mine[order.order_id]


def _unfit_price(place: Place) -> RejectReason | None:
    if place.type is not OrderType.MARKET:
        if place.price is None:
            return RejectReason.PRICE_MISSING
        if not 0 < place.price <= PRICE_MAX:
            return RejectReason.PRICE_OUT_OF_RANGE
    elif place.price is not None:
        return RejectReason.PRICE_NOT_ALLOWED
    if place.type is not _STOP_LIMIT:
        return None if place.stop_price is None else RejectReason.STOP_PRICE_NOT_ALLOWED
    if place.stop_price is None:
        return RejectReason.STOP_PRICE_MISSING
    return None if 0 < place.stop_price <= PRICE_MAX else RejectReason.PRICE_OUT_OF_RANGE
