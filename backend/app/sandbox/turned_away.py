"""Orders that were taken and cancelled at once: post-only ones that would have traded.

Most exchanges give such an order a number and cancel it; the venue refuses it, and has none for
it. What is told here lasts as long as the process, like an exchange's memory of them.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from backend.app.exchanges.market_values import Market, Order, OrderRequest, OrderStatus

PER_ACCOUNT_MAX: Final = 100
_MS_PER_ORDER_ID: Final = 2
"""Half the time in milliseconds stays below 2**40, the first number of the venue's, until 2039."""


class TurnedAway:
    """The last of these orders of every account."""

    def __init__(self) -> None:
        self._orders: defaultdict[str, OrderedDict[int, Order]] = defaultdict(OrderedDict)
        self._last_order_id = 0

    def keep(self, account_id: str, market: Market, asked: OrderRequest, now_ms: int) -> Order:
        """Return the order as it ended."""
        # Later than before also after a restart: clients remember order numbers.
        self._last_order_id = max(self._last_order_id + 1, now_ms // _MS_PER_ORDER_ID)
        order = Order(
            order_id=self._last_order_id,
            client_order_id=asked.client_order_id or "",
            market=market,
            side=asked.side,
            order_type=asked.order_type,
            status=OrderStatus.CANCELLED,
            price=asked.price,
            amount=asked.amount or Decimal(0),
            filled=Decimal(0),
            filled_quote=Decimal(0),
            created_ms=now_ms,
            updated_ms=now_ms,
            time_in_force=asked.time_in_force,
        )
        own = self._orders[account_id]
        own[order.order_id] = order
        if len(own) > PER_ACCOUNT_MAX:
            own.popitem(last=False)
        return order

    def find(self, account_id: str, order_id: int) -> Order | None:
        """Return one of an account's, if it is remembered."""
        return self._orders[account_id].get(order_id)

    def of(self, account_id: str, symbol: str | None) -> Sequence[Order]:
        """Return what is remembered of an account's, the oldest first."""
        known = self._orders[account_id].values()
        return tuple(order for order in known if symbol in (None, order.market.symbol))
