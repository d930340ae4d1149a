"""What was: cutting a history to what a request asks for, and words all eight need for it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from backend.app.exchanges.answers.base import Call
from backend.app.exchanges.market_values import Deposit, Fill, Market, Order, Side

DEPOSIT_ADDRESS: Final = "0x5a4d0b0c00000000000000000000000000000000"
"""Where the house's gifts come from and go to. Nobody has its key, and no chain is asked."""

_TXID_DIGITS: Final = 64

_Row = TypeVar("_Row")


def recent(
    rows: Iterable[_Row],
    at_ms: Callable[[_Row], int],
    *,
    start_ms: int | None,
    end_ms: int | None,
    most: int,
) -> list[_Row]:
    """Return the newest rows from start to end, both included, the newest first."""
    wanted = [
        row
        for row in rows
        if (start_ms is None or at_ms(row) >= start_ms) and (end_ms is None or at_ms(row) <= end_ms)
    ]
    return wanted[::-1][:most]


def created_ms(order: Order) -> int:
    """Return when an order came in."""
    return order.created_ms


def happened_ms(row: Fill | Deposit) -> int:
    """Return when money moved."""
    return row.at_ms


async def orders_of(call: Call, market: Market | None) -> Sequence[Order]:
    """Return the caller's orders, open and closed, the oldest first."""
    return await call.world.orders(call.account_id, market.symbol if market else None)


async def closed_orders_of(call: Call, market: Market | None) -> Sequence[Order]:
    """Return the caller's orders that trade no more, the oldest first."""
    return tuple(order for order in await orders_of(call, market) if not order.is_open)


async def fills_of(
    call: Call, market: Market | None, order_id: int | None = None
) -> Sequence[Fill]:
    """Return the caller's fills, or those of one order, the oldest first."""
    return await call.world.fills(call.account_id, market.symbol if market else None, order_id)


def received(side: Side, market: Market) -> str:
    """Return the asset a trade brings in: the one a fee is taken from."""
    return market.base if side is Side.BUY else market.quote


def txid(deposit: Deposit) -> str:
    """Return what stands for the transaction on the chain."""
    return f"{deposit.deposit_id:0{_TXID_DIGITS}x}"
