"""A matching engine that is obviously right: one list of orders, looked through again and again.

It shares the vocabulary with the real one, and no line of its logic.
"""

from dataclasses import dataclass
from typing import NamedTuple

from backend.app.venue.events import CancelReason, RejectReason
from backend.app.venue.orders import (
    PRICE_MAX,
    QUANTITY_MAX,
    OrderType,
    Place,
    SelfTrade,
    Side,
    TimeInForce,
)


class Cancel(NamedTuple):
    order_id: int
    account_id: int


class CancelAll(NamedTuple):
    account_id: int


Command = Place | Cancel | CancelAll


class Traded(NamedTuple):
    maker_order_id: int
    taker_order_id: int
    price: int
    quantity: int


class Cancelled(NamedTuple):
    order_id: int
    quantity: int
    reason: CancelReason


class Triggered(NamedTuple):
    order_id: int


class Rejected(NamedTuple):
    order_id: int
    reason: RejectReason


Event = Traded | Cancelled | Triggered | Rejected


@dataclass
class Open:
    place: Place
    left: int
    arrived: int  # Into the book, or to wait for a stop price.
    waits: bool


class ReferenceBook:
    def __init__(self) -> None:
        self.open: list[Open] = []
        self.accepted: list[int] = []
        self.last_price: int | None = None
        self.clock = 0

    def apply(self, command: Command) -> list[Event]:
        if isinstance(command, Cancel):
            return self.cancel(command)
        if isinstance(command, CancelAll):
            mine = [each for each in self.open if each.place.account_id == command.account_id]
            mine.sort(key=lambda each: each.place.order_id)
            return [self.end(each, CancelReason.ASKED) for each in mine]
        return self.place(command)

    def by_age(self) -> list[Open]:
        return sorted(self.open, key=lambda each: each.arrived)

    def cancel(self, asked: Cancel) -> list[Event]:
        for each in self.open:
            if (each.place.order_id, each.place.account_id) == (asked.order_id, asked.account_id):
                return [self.end(each, CancelReason.ASKED)]
        return [Rejected(asked.order_id, RejectReason.NOT_OPEN)]

    def end(self, order: Open, reason: CancelReason) -> Cancelled:
        self.open.remove(order)
        return Cancelled(order.place.order_id, order.left, reason)

    def place(self, place: Place) -> list[Event]:
        reason = self.reject(place)
        if reason is not None:
            return [Rejected(place.order_id, reason)]
        self.accepted.append(place.order_id)
        if place.type is OrderType.STOP_LIMIT and not self.has_reached(place, [self.last_price]):
            self.rest(place, place.quantity, waits=True)
            return []
        events: list[Event] = []
        entering = [place]
        while entering:
            entering += self.enter(entering.pop(0), events)
        return events

    def reject(self, place: Place) -> RejectReason | None:  # noqa: PLR0911 - one a line
        if any(number >= place.order_id for number in self.accepted):
            return RejectReason.ORDER_ID_NOT_NEW
        if place.quantity < 1 or place.quantity > QUANTITY_MAX:
            return RejectReason.QUANTITY_OUT_OF_RANGE
        if place.type is OrderType.MARKET and place.price is not None:
            return RejectReason.PRICE_NOT_ALLOWED
        if place.type is not OrderType.MARKET and place.price is None:
            return RejectReason.PRICE_MISSING
        if place.price is not None and (place.price < 1 or place.price > PRICE_MAX):
            return RejectReason.PRICE_OUT_OF_RANGE
        if place.type is OrderType.STOP_LIMIT and place.stop_price is None:
            return RejectReason.STOP_PRICE_MISSING
        if place.type is not OrderType.STOP_LIMIT and place.stop_price is not None:
            return RejectReason.STOP_PRICE_NOT_ALLOWED
        if place.stop_price is not None and not 1 <= place.stop_price <= PRICE_MAX:
            return RejectReason.PRICE_OUT_OF_RANGE
        posts = place.time_in_force is TimeInForce.POST_ONLY
        if posts and place.type is not OrderType.STOP_LIMIT and self.counterparts(place):
            return RejectReason.WOULD_TAKE
        return None

    def has_reached(self, place: Place, prices: list[int | None]) -> bool:
        told = [price for price in prices if price is not None]
        stop = place.stop_price or 0
        if place.side is Side.BUY:
            return any(price >= stop for price in told)
        return any(price <= stop for price in told)

    def counterparts(self, place: Place) -> list[Open]:
        """Every resting order it may trade with, in the order it would."""
        found = []
        for each in self.open:
            price = each.place.price or 0
            is_other_side = each.place.side is not place.side and not each.waits
            is_in_reach = place.price is None or (
                price <= place.price if place.side is Side.BUY else price >= place.price
            )
            if is_other_side and is_in_reach:
                found.append(each)
        sign = 1 if place.side is Side.BUY else -1
        return sorted(found, key=lambda each: (sign * (each.place.price or 0), each.arrived))

    def enter(self, place: Place, events: list[Event]) -> list[Place]:
        """Trade what can be traded; return the orders whose stop prices were reached."""
        name, quantity = place.order_id, place.quantity
        if place.time_in_force is TimeInForce.POST_ONLY and self.counterparts(place):
            events.append(Cancelled(name, quantity, CancelReason.WOULD_TAKE))
            return []
        plan, left, was_stopped = self.plan(place)
        if place.time_in_force is TimeInForce.FOK and left:
            events.append(Cancelled(name, quantity, CancelReason.FILL_OR_KILL))
            return []
        prices: list[int | None] = []
        for maker, traded in plan:
            if not traded:
                events.append(self.end(maker, CancelReason.SELF_TRADE))
                continue
            maker.left -= traded
            if not maker.left:
                self.open.remove(maker)
            price = maker.place.price or 0
            events.append(Traded(maker.place.order_id, name, price, traded))
            prices.append(price)
            self.last_price = price
        triggered = self.trigger(prices, events)
        if left and was_stopped:
            events.append(Cancelled(name, left, CancelReason.SELF_TRADE))
        elif left and place.type is OrderType.MARKET:
            events.append(Cancelled(name, left, CancelReason.NO_LIQUIDITY))
        elif left and place.time_in_force is TimeInForce.IOC:
            events.append(Cancelled(name, left, CancelReason.IMMEDIATE_OR_CANCEL))
        elif left:
            self.rest(place, left, waits=False)
        return triggered

    def trigger(self, prices: list[int | None], events: list[Event]) -> list[Place]:
        reached = [
            each for each in self.by_age() if each.waits and self.has_reached(each.place, prices)
        ]
        for each in reached:
            self.open.remove(each)
            events.append(Triggered(each.place.order_id))
        return [each.place for each in reached]

    def plan(self, place: Place) -> tuple[list[tuple[Open, int]], int, bool]:
        """With whom it would trade how much; 0 stands for an own order that is cancelled."""
        plan: list[tuple[Open, int]] = []
        left = place.quantity
        for maker in self.counterparts(place):
            if not left:
                break
            is_own = maker.place.account_id == place.account_id
            if is_own and place.self_trade is SelfTrade.CANCEL_TAKER:
                return plan, left, True
            if is_own and place.self_trade is SelfTrade.CANCEL_BOTH:
                return [*plan, (maker, 0)], left, True
            if is_own and place.self_trade is SelfTrade.CANCEL_MAKER:
                plan.append((maker, 0))
                continue
            traded = min(left, maker.left)
            plan.append((maker, traded))
            left -= traded
        return plan, left, False

    def rest(self, place: Place, left: int, *, waits: bool) -> None:
        self.clock += 1
        self.open.append(Open(place, left, self.clock, waits))
