"""Orders: what the sandbox takes, whom they trade with, and how resting ones fill.

An order trades at once with everything at its price or better: other accounts' resting orders
and the house's levels. What is left of a limit order rests, with its funds locked, until another
account crosses it or the wandering price passes it. There are no fees.
"""

import heapq
from bisect import bisect_left, insort
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from backend.app.exchanges.answers.base import OrderRefused
from backend.app.exchanges.market_values import (
    Level,
    Market,
    Order,
    OrderRequest,
    OrderStatus,
    Side,
    TimeInForce,
)
from backend.app.sandbox.house import House
from backend.app.sandbox.journal import Journal
from backend.app.sandbox.order_rules import PRICE_RATIO_MAX, check_numbers, check_size
from backend.app.sandbox.reckoning import (
    Offer,
    amount_of,
    as_much,
    cost,
    is_worse,
    rank,
    require_keepable,
    reservation,
    resting_offer,
    still_locked,
)
from backend.app.sandbox.wallets import HOUSE, Wallets

OPEN_ORDERS_PER_ACCOUNT_MAX: Final = 200
CLOSED_ORDERS_PER_ACCOUNT_MAX: Final = 500
_FIRST_ORDER_ID: Final = 1_000_000_001


class MatchingFloor:
    """All orders of all accounts on all markets."""

    def __init__(self, houses: Sequence[House], wallets: Wallets, journal: Journal) -> None:
        self._houses = {house.listing.market.symbol: house for house in houses}
        self._wallets = wallets
        self._journal = journal
        self._owners: dict[int, str] = {}
        self._open: defaultdict[str, dict[int, Order]] = defaultdict(dict)
        self._closed: defaultdict[str, OrderedDict[int, Order]] = defaultdict(OrderedDict)
        self._resting: defaultdict[tuple[str, Side], list[tuple[Decimal, int]]] = defaultdict(list)
        self._settled_ms: dict[str, int] = {}
        self._next_order_id = _FIRST_ORDER_ID

    def place(self, account_id: str, asked: OrderRequest, now_ms: int) -> Order:
        """Take an order: trade what can trade at once, rest what is left of a limit order.

        Raises:
            OrderRefused: a rule of the market, or the account's funds, forbid it. Nothing moved.
        """
        self.settle(now_ms)
        market = self._checked_market(account_id, asked)
        plan = self._plan(market, asked, now_ms)
        amount = amount_of(asked, plan)
        check_size(market, asked, amount, amount * asked.price if asked.price else cost(plan))
        is_keepable = require_keepable(asked, amount, plan)
        self._wallets.lock(account_id, *reservation(market, asked, amount, plan))
        order_id, self._next_order_id = self._next_order_id, self._next_order_id + 1
        self._owners[order_id] = account_id
        self._open[account_id][order_id] = Order(
            order_id=order_id,
            client_order_id=asked.client_order_id or "",
            market=market,
            side=asked.side,
            order_type=asked.order_type,
            status=OrderStatus.OPEN,
            price=asked.price,
            amount=amount,
            filled=Decimal(0),
            filled_quote=Decimal(0),
            created_ms=now_ms,
            updated_ms=now_ms,
            time_in_force=asked.time_in_force,
        )
        for take in plan if is_keepable else ():
            self._trade(order_id, take, now_ms)
        if order_id in self._open[account_id]:
            if not is_keepable or asked.time_in_force is TimeInForce.IOC:
                return self._take_back(account_id, self._find(order_id), now_ms)
            insort(self._resting[market.symbol, asked.side], (rank(asked), order_id))
        return self.order(account_id, order_id)

    def cancel(self, account_id: str, order_id: int, now_ms: int) -> Order:
        """Take an open order back and release what it had locked.

        Raises:
            OrderRefused: order_not_found, also for one that is already closed.
        """
        self.settle(now_ms)
        order = self._open[account_id].get(order_id)
        if order is None:
            raise OrderRefused("order_not_found")
        return self._take_back(account_id, order, now_ms)

    def order(self, account_id: str, order_id: int) -> Order:
        """Return one order of an account, open or closed.

        Raises:
            OrderRefused: order_not_found: unknown, forgotten, or another account's.
        """
        found = self._open[account_id].get(order_id) or self._closed[account_id].get(order_id)
        if found is None:
            raise OrderRefused("order_not_found")
        return found

    def orders(self, account_id: str, symbol: str | None) -> Sequence[Order]:
        """Return what is remembered of an account's orders, the oldest first."""
        known = (*self._closed[account_id].values(), *self._open[account_id].values())
        wanted = (order for order in known if symbol in (None, order.market.symbol))
        return tuple(sorted(wanted, key=lambda order: order.order_id))

    def open_orders(self, account_id: str, symbol: str | None) -> Sequence[Order]:
        """Return an account's open orders, the oldest first."""
        known = self._open[account_id].values()
        return tuple(order for order in known if symbol in (None, order.market.symbol))

    def levels(self, symbol: str, side: Side, now_ms: int) -> Iterator[Level]:
        """Yield the levels of one side of the book, the best first."""
        level: Level | None = None
        for offer in self._offers(symbol, side, now_ms):
            if level is not None and offer.price == level.price:
                level = Level(level.price, level.amount + offer.amount)
                continue
            if level is not None:
                yield level
            level = Level(offer.price, offer.amount)
        if level is not None:
            yield level

    def settle(self, now_ms: int) -> None:
        """Fill every resting order whose price the house has passed since the last time.

        A clock that is set back is only another way for the price to move.
        """
        for symbol, house in self._houses.items():
            since_ms = self._settled_ms.get(symbol, now_ms)
            self._settled_ms[symbol] = now_ms
            buys, sells = self._resting[symbol, Side.BUY], self._resting[symbol, Side.SELL]
            if now_ms == since_ms or not (buys or sells):
                continue
            span = min(since_ms, now_ms), max(since_ms, now_ms)
            low, high = house.path.lowest_and_highest(*span)
            self._fill_passed(buys, -(low + house.gap), now_ms)
            self._fill_passed(sells, high - house.gap, now_ms)

    def _fill_passed(self, resting: list[tuple[Decimal, int]], reach: Decimal, now: int) -> None:
        while resting and resting[0][0] <= reach:
            order = self._find(resting[0][1])
            left = order.amount - order.filled
            # The house came to the order, so the order is the maker here.
            offer = Offer(order.price or Decimal(0), left, None)
            self._trade(order.order_id, offer, now, is_maker=True)

    def _checked_market(self, account_id: str, asked: OrderRequest) -> Market:
        house = self._houses.get(asked.symbol)
        if house is None:
            raise OrderRefused("unknown_symbol")
        market = house.listing.market
        price_max = house.listing.middle_price * PRICE_RATIO_MAX
        check_numbers(market, asked, price_max)
        client_order_id = asked.client_order_id or ""
        mine = self._open[account_id].values()
        if client_order_id and any(order.client_order_id == client_order_id for order in mine):
            raise OrderRefused("duplicate_client_order_id")
        if len(mine) >= OPEN_ORDERS_PER_ACCOUNT_MAX:
            raise OrderRefused("too_many_open_orders")
        if asked.quote_amount is not None:
            available = self._wallets.available(account_id, market.quote)
            if asked.quote_amount > available:
                raise OrderRefused("insufficient_funds")
        return market

    def _plan(self, market: Market, asked: OrderRequest, now_ms: int) -> Sequence[Offer]:
        """Choose what an order would trade with at once. Nothing moves yet."""
        plan: list[Offer] = []
        wanted, budget = asked.amount, asked.quote_amount
        other = Side.SELL if asked.side is Side.BUY else Side.BUY
        for offer in self._offers(market.symbol, other, now_ms):
            if asked.price is not None and is_worse(asked, offer.price):
                return plan
            take = as_much(market, offer, wanted, budget)
            if not take:
                return plan
            plan.append(replace(offer, amount=take))
            wanted = None if wanted is None else wanted - take
            budget = None if budget is None else budget - take * offer.price
        return plan

    def _offers(self, symbol: str, side: Side, now_ms: int) -> Iterator[Offer]:
        """Yield what can be traded with on one side, best first, accounts before the house."""
        sign = -1 if side is Side.BUY else 1
        house = (
            (sign * level.price, 1, number, Offer(level.price, level.amount, None))
            for number, level in enumerate(self._houses[symbol].levels(side, now_ms))
        )
        accounts = (
            (place, 0, order_id, resting_offer(self._find(order_id)))
            for place, order_id in tuple(self._resting[symbol, side])
        )
        return (offer for *_, offer in heapq.merge(accounts, house, key=lambda line: line[:3]))

    def _trade(self, taker_id: int, take: Offer, now_ms: int, *, is_maker: bool = False) -> None:
        """Let an order trade with an offer: money moves, both orders are brought up to date."""
        taker = self._find(taker_id)
        maker_id = HOUSE if take.order_id is None else self._owners[take.order_id]
        sides = {taker.side: self._owners[taker_id]}
        sides[Side.SELL if taker.side is Side.BUY else Side.BUY] = maker_id
        buyer, seller, market = sides[Side.BUY], sides[Side.SELL], taker.market
        self._wallets.pay(buyer, seller, market.quote, take.amount * take.price)
        self._wallets.pay(seller, buyer, market.base, take.amount)
        self._advance(taker, take, now_ms, is_maker=is_maker)
        if take.order_id is not None:
            self._advance(self._find(take.order_id), take, now_ms, is_maker=True)

    def _advance(self, order: Order, take: Offer, now_ms: int, *, is_maker: bool) -> None:
        filled = order.filled + take.amount
        done = filled == order.amount
        if order.side is Side.BUY and order.price is not None:
            # Bought below the limit: what the limit had locked on top is free again.
            spared = (order.price - take.price) * take.amount
            self._wallets.release(self._owners[order.order_id], order.market.quote, spared)
        self._journal.record(
            self._owners[order.order_id],
            order,
            price=take.price,
            amount=take.amount,
            is_maker=is_maker,
            now_ms=now_ms,
        )
        order = replace(
            order,
            filled=filled,
            filled_quote=order.filled_quote + take.amount * take.price,
            status=OrderStatus.FILLED if done else OrderStatus.PARTIALLY_FILLED,
            updated_ms=now_ms,
        )
        if done:
            self._close(order)
        else:
            self._open[self._owners[order.order_id]][order.order_id] = order

    def _close(self, order: Order) -> Order:
        account_id = self._owners[order.order_id]
        del self._open[account_id][order.order_id]
        resting = self._resting[order.market.symbol, order.side]
        if order.price is not None:
            line = (-order.price if order.side is Side.BUY else order.price, order.order_id)
            at = bisect_left(resting, line)
            if at < len(resting) and resting[at] == line:
                del resting[at]
        closed = self._closed[account_id]
        closed[order.order_id] = order
        if len(closed) > CLOSED_ORDERS_PER_ACCOUNT_MAX:
            forgotten, _ = closed.popitem(last=False)
            del self._owners[forgotten]
        return order

    def _take_back(self, account_id: str, order: Order, now_ms: int) -> Order:
        self._wallets.release(account_id, *still_locked(order))
        return self._close(replace(order, status=OrderStatus.CANCELLED, updated_ms=now_ms))

    def _find(self, order_id: int) -> Order:
        return self._open[self._owners[order_id]][order_id]
