"""Binance's user data stream of one account: its orders, its trades, its balances, as they change.

What is committed is looked up a few times a second: the orders that are new, and those that were
open when they were last looked at. So nothing is missed, whoever brought it about.
"""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from backend.app.exchanges.answers.base import World
from backend.app.exchanges.answers.binance_streams import (
    account_position,
    came_in,
    ended,
    traded,
)
from backend.app.exchanges.key_information import Balance
from backend.app.exchanges.market_values import Fill, Order, OrderStatus

LOOKS_PER_BALANCE: Final = 10
"""Without any news of orders, only a deposit changes a balance: it is told a second later."""


class UserStream:
    """What was told of an account so far."""

    def __init__(self, world: World, account_id: str) -> None:
        self._world = world
        self._account_id = account_id
        self._last_order_id = 0
        self._open: dict[int, Order] = {}
        self._held: Mapping[str, Balance] = {}
        self._looked = 0

    async def begin(self) -> None:
        """Take what there is for told."""
        known = await self._world.orders(self._account_id)
        self._last_order_id = max((order.order_id for order in known), default=0)
        resting = await self._world.open_orders(self._account_id)
        self._open = {order.order_id: order for order in resting}
        self._held = await self._balances()

    async def news(self) -> list[dict[str, Any]]:
        """Return the events since the last time."""
        self._looked += 1
        # Looked up first: what an order did to a balance is told after the order.
        held = None if self._looked % LOOKS_PER_BALANCE else await self._balances()
        orders = await self._world.order_news(
            self._account_id, self._last_order_id, tuple(self._open)
        )
        events: list[dict[str, Any]] = []
        touched: set[str] = set()
        for order in orders:
            told = [event async for event in self._told(order)]
            events += told
            touched |= {order.market.base, order.market.quote} if told else set()
        if events:
            held = await self._balances()
        position = () if held is None else self._position(held, touched)
        return [*events, *position]

    def _position(
        self, held: Mapping[str, Balance], touched: Collection[str]
    ) -> Iterator[dict[str, Any]]:
        """Yield what is held now of the assets that orders touched, and of others that changed."""
        told = [
            balance
            for asset, balance in held.items()
            if asset in touched or self._held.get(asset) != balance
        ]
        self._held = held
        if told:
            yield account_position(told, self._world.now_ms())

    async def _balances(self) -> dict[str, Balance]:
        held = await self._world.balances(self._account_id)
        return {balance.asset: balance for balance in held}

    async def _told(self, order: Order) -> AsyncIterator[dict[str, Any]]:
        before = self._open.pop(order.order_id, None)
        self._last_order_id = max(self._last_order_id, order.order_id)
        if order.is_open:
            self._open[order.order_id] = order
        if before is None:
            yield came_in(order)
        already = before.filled if before is not None else Decimal(0)
        if order.filled > already:
            fills = await self._world.fills(self._account_id, None, order.order_id)
            for event in _trades(order, already, fills):
                yield event
        if order.status is OrderStatus.CANCELLED:
            yield ended(order)


def _trades(order: Order, already: Decimal, fills: Sequence[Fill]) -> Iterator[dict[str, Any]]:
    """Yield the trades of an order that come after `already` was filled."""
    filled = filled_quote = Decimal(0)
    for fill in fills:
        filled += fill.amount
        filled_quote += fill.cost
        if already < filled <= order.filled:
            yield traded(order, fill, filled, filled_quote)
