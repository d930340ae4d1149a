"""One instrument's order book: price-time priority, trades at the resting order's price."""

from collections import deque
from collections.abc import Iterator
from itertools import islice

from backend.app.venue.events import (
    Cancelled,
    CancelReason,
    Event,
    Rejected,
    RejectReason,
    Traded,
    Triggered,
)
from backend.app.venue.open_orders import BookSide, OpenOrder
from backend.app.venue.orders import (
    PRICE_MAX,
    QUANTITY_MAX,
    Cancel,
    CancelAll,
    Command,
    OrderType,
    Place,
    SelfTrade,
    Side,
    TimeInForce,
)
from backend.app.venue.stops import WaitingStops

_GTC, _POST_ONLY, _FOK = TimeInForce.GTC, TimeInForce.POST_ONLY, TimeInForce.FOK
_LIMIT, _STOP_LIMIT = OrderType.LIMIT, OrderType.STOP_LIMIT
_ALLOW, _BUY = SelfTrade.ALLOW, Side.BUY


class OrderBook:
    """Applies commands one by one. No command raises, and a rejected one changes nothing.

    The ids of its orders grow, so that each is new.
    """

    def __init__(self) -> None:
        self.last_order_id = 0
        self.last_price: int | None = None
        self._bids = BookSide(Side.BUY)
        self._asks = BookSide(Side.SELL)
        self._stops = WaitingStops()
        # Stop orders whose price was reached, and that have not entered yet.
        self._triggered: deque[Place] = deque()
        self._open: dict[int, dict[int, OpenOrder]] = {}

    def apply(self, command: Command) -> list[Event]:
        """Carry out a command and return what it brought about."""
        events: list[Event] = []
        if isinstance(command, Place):
            self._place(command, events)
        elif isinstance(command, Cancel):
            self._cancel(command, events)
        else:
            self._cancel_all(command, events)
        return events

    def depth(self, side: Side, levels_max: int) -> list[tuple[int, int]]:
        """Return the best prices of a side, each with what rests at it."""
        levels = (self._bids if side is _BUY else self._asks).levels()
        return [(level.price, level.quantity) for level in islice(levels, levels_max)]

    def open_orders(self) -> Iterator[tuple[Place, int]]:
        """Walk all open orders with what is left of each: best first, then those that wait."""
        for side in (self._bids, self._asks):
            for level in side.levels():
                for order in level:
                    yield order.place, order.left
        for place in self._stops.in_order_of_arrival():
            yield place, place.quantity

    def _place(self, place: Place, events: list[Event]) -> None:
        order_id, _, side, quantity, price, kind, force, stop_price, _ = place
        # Most orders are plain limit orders, and most of those rest: told at once, without the
        # calls that all others need (bench/matching.py).
        if (
            kind is not _LIMIT
            or force is not _GTC
            or stop_price is not None
            or price is None
            or not 0 < price <= PRICE_MAX
            or not 0 < quantity <= QUANTITY_MAX
            or order_id <= self.last_order_id
        ):
            self._place_special(place, events)
            return
        self.last_order_id = order_id
        if side is _BUY:
            mine, best = self._bids, self._asks.best
            rests = best is None or best.price > price
        else:
            mine, best = self._asks, self._bids.best
            rests = best is None or best.price < price
        if rests:
            order = OpenOrder(place, quantity)
            mine.add(order, price)
            self._keep(order)
            return
        self._enter(place, events)
        self._enter_triggered(events)

    def _place_special(self, place: Place, events: list[Event]) -> None:
        reason = self._unfit(place)
        if reason is not None:
            events.append(Rejected(place.order_id, reason))
            return
        self.last_order_id = place.order_id
        if place.type is _STOP_LIMIT and not self._is_reached(place):
            self._stops.add(place, place.stop_price or 0)
            self._keep(OpenOrder(place, place.quantity))
            return
        self._enter(place, events)
        self._enter_triggered(events)

    def _enter_triggered(self, events: list[Event]) -> None:
        while self._triggered:
            self._enter(self._triggered.popleft(), events)

    def _unfit(self, place: Place) -> RejectReason | None:
        if place.order_id <= self.last_order_id:
            return RejectReason.ORDER_ID_NOT_NEW
        if not 0 < place.quantity <= QUANTITY_MAX:
            return RejectReason.QUANTITY_OUT_OF_RANGE
        unfit = _unfit_price(place)
        if unfit is not None:
            return unfit
        is_post_only = place.time_in_force is _POST_ONLY and place.type is not _STOP_LIMIT
        return RejectReason.WOULD_TAKE if is_post_only and self._would_take(place) else None

    def _is_reached(self, place: Place) -> bool:
        if self.last_price is None or place.stop_price is None:
            return False
        if place.side is _BUY:
            return self.last_price >= place.stop_price
        return self.last_price <= place.stop_price

    def _enter(self, place: Place, events: list[Event]) -> None:
        """Match an order, and let what is left rest or go, as its time in force says."""
        _, _, side, _, price, _, force, _, _ = place
        if force is not _GTC and (reason := self._kills(place)) is not None:
            events.append(Cancelled(place.order_id, place.quantity, reason))
            return
        left, is_stopped = self._match(place, events)
        if not left:
            return
        if is_stopped:
            events.append(Cancelled(place.order_id, left, CancelReason.SELF_TRADE))
        elif price is None:
            events.append(Cancelled(place.order_id, left, CancelReason.NO_LIQUIDITY))
        elif force is TimeInForce.IOC:
            events.append(Cancelled(place.order_id, left, CancelReason.IMMEDIATE_OR_CANCEL))
        else:
            order = OpenOrder(place, left)
            (self._bids if side is _BUY else self._asks).add(order, price)
            self._keep(order)

    def _kills(self, place: Place) -> CancelReason | None:
        """Return why an order may not trade at all, if its time in force says so."""
        if place.time_in_force is _POST_ONLY and self._would_take(place):
            return CancelReason.WOULD_TAKE
        if place.time_in_force is _FOK and not self._could_fill(place):
            return CancelReason.FILL_OR_KILL
        return None

    def _match(self, place: Place, events: list[Event]) -> tuple[int, bool]:
        """Trade with what rests; return what is left, and whether a self-trade was prevented."""
        order_id, account_id, side, left, limit, _, _, _, self_trade = place
        buys, first_price, is_stopped = side is _BUY, 0, False
        resting = self._asks if buys else self._bids
        prevents = self_trade is not _ALLOW
        while left:
            level = resting.best
            if level is None:
                break
            price, maker = level.price, level.first
            if limit is not None and (price > limit if buys else price < limit):
                break
            assert maker is not None  # noqa: S101 - an empty level is dropped at once
            if prevents and maker.place.account_id == account_id:
                if self_trade is not SelfTrade.CANCEL_TAKER:
                    self._drop(maker, CancelReason.SELF_TRADE, events)
                if self_trade is not SelfTrade.CANCEL_MAKER:
                    is_stopped = True
                    break
                continue
            quantity = maker.left
            if quantity > left:
                maker.left -= left
                level.quantity -= left
                quantity, left = left, 0
            else:
                left -= quantity
                resting.pop_first(level)
                self._forget(maker.place)
            events.append(Traded(maker.place.order_id, order_id, price, quantity))
            self.last_price = price
            first_price = first_price or price
        if first_price and self._stops.places:
            self._trigger_stops(first_price, self.last_price or 0, events)
        return left, is_stopped

    def _would_take(self, place: Place) -> bool:
        buys = place.side is _BUY
        level = (self._asks if buys else self._bids).best
        return level is not None and _crosses(buys, place.price, level.price)

    def _could_fill(self, place: Place) -> bool:
        """Tell whether the whole order would trade at once."""
        buys, left = place.side is _BUY, place.quantity
        for level in (self._asks if buys else self._bids).levels():
            if left <= 0 or not _crosses(buys, place.price, level.price):
                break
            if place.self_trade is _ALLOW:
                left -= level.quantity
                continue
            for maker in level:
                if maker.place.account_id != place.account_id:
                    left -= maker.left
                elif place.self_trade is not SelfTrade.CANCEL_MAKER:
                    return left <= 0
        return left <= 0

    def _trigger_stops(self, first_price: int, last_price: int, events: list[Event]) -> None:
        """Let the stop orders enter that the trades of one order have reached."""
        # One order trades ever further away, so its first and last price are the extremes.
        low, high = min(first_price, last_price), max(first_price, last_price)
        for place in self._stops.take_reached(low, high):
            self._forget(place)
            events.append(Triggered(place.order_id))
            self._triggered.append(place)

    def _cancel(self, asked: Cancel, events: list[Event]) -> None:
        order = self._open.get(asked.account_id, {}).get(asked.order_id)
        if order is None:
            events.append(Rejected(asked.order_id, RejectReason.NOT_OPEN))
        else:
            self._drop(order, CancelReason.ASKED, events)

    def _cancel_all(self, asked: CancelAll, events: list[Event]) -> None:
        for order in list(self._open.get(asked.account_id, {}).values()):
            self._drop(order, CancelReason.ASKED, events)

    def _drop(self, order: OpenOrder, reason: CancelReason, events: list[Event]) -> None:
        place = order.place
        if order.level is None:
            self._stops.remove(place.order_id)
        else:
            (self._bids if place.side is _BUY else self._asks).remove(order)
        self._forget(place)
        events.append(Cancelled(place.order_id, order.left, reason))

    def _keep(self, order: OpenOrder) -> None:
        place = order.place
        mine = self._open.get(place.account_id)
        if mine is None:
            self._open[place.account_id] = {place.order_id: order}
        else:
            mine[place.order_id] = order

    def _forget(self, place: Place) -> None:
        mine = self._open[place.account_id]
        del mine[place.order_id]
        if not mine:
            del self._open[place.account_id]


def _crosses(buys: bool, limit: int | None, price: int) -> bool:
    return limit is None or (limit >= price if buys else limit <= price)


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
