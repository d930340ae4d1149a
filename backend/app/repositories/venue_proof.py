"""The tables of a shard, read along with what its journal says must be in them."""

from collections.abc import Sequence
from typing import Any, Final

from backend.app.repositories.venue_reading import COMMANDS_A_SHARD_MAX, first_number
from backend.app.repositories.venue_writing import MOVEMENTS_FROM
from backend.app.venue.batch import Batch
from backend.app.venue.commands import MoveFunds

Row = tuple[Any, ...]

_ORDERS: Final = """
SELECT id, account_id, instrument_id, side, price, quantity, client_order_id, order_type,
    time_in_force, stop_price, self_trade, budget * 1000000000000, executed_quantity,
    executed_value, status
FROM orders WHERE id BETWEEN $1 AND $2 ORDER BY id
"""
_TRADES: Final = """
SELECT trades.id, instrument_id, maker_order_id, taker_order_id, taker_side, trades.price, quantity
FROM trades JOIN instruments ON instruments.id = instrument_id
WHERE shard = $1 ORDER BY trades.id
"""
_FILLS: Final = """
SELECT account_id, trade_id, instrument_id, order_id, side, is_maker, price, quantity,
    fee * 1000000000000
FROM fills WHERE order_id BETWEEN $1 AND $2 ORDER BY trade_id, is_maker DESC
"""
_LINES: Final = """
SELECT l.movement_id - $3::bigint, coalesce(a.venue_account_id, 0), a.asset, a.kind,
    l.amount * 1000000000000
FROM ledger_lines AS l LEFT JOIN ledger_accounts AS a ON a.id = l.account_id
WHERE l.movement_id BETWEEN $1::bigint + $3::bigint AND $2::bigint + $3::bigint
ORDER BY 1, 2, a.asset COLLATE "C", a.kind COLLATE "C"
"""
_TRANSFERS: Final = """
SELECT number, account_id, asset, amount * 1000000000000, reference
FROM venue_transfers WHERE number BETWEEN $1 AND $2 ORDER BY number
"""
_WALLETS: Final = """
SELECT account_id, asset, available * 1000000000000, locked * 1000000000000
FROM wallets WHERE available <> 0 OR locked <> 0 ORDER BY account_id, asset COLLATE "C"
"""
_SNAPSHOTS: Final = "SELECT sequence, state FROM venue_snapshots WHERE shard = $1"


class Table:
    """The rows of a table, in the order in which they came about."""

    def __init__(self, kind: str, cursor: Any) -> None:
        self._kind = kind
        self._cursor = cursor

    async def difference(self, expected: Sequence[Row]) -> str | None:
        """Return the first difference of the next rows from these, in words."""
        if not expected:
            return None
        stored = [tuple(row) for row in await self._cursor.fetch(len(expected))]
        if stored == list(expected):
            return None
        for due, found in zip(expected, stored, strict=False):
            if found != due:
                return f"{self._kind} {due[0]} is not stored as the journal says"
        return f"{self._kind} {expected[len(stored)][0]} is not stored"

    async def surplus(self) -> str | None:
        """Return, in words, what is stored beyond the rows that were expected."""
        for row in await self._cursor.fetch(1):
            return f"{self._kind} {row[0]} is stored, and the journal knows nothing of it"
        return None


async def tables(connection: Any, shard: int) -> tuple[Table, Table, Table, Table]:
    """Return what grows with the journal: trades, fills, ledger lines and transfers."""
    numbers = _numbers(shard)
    return (
        await _table(connection, "trade", _TRADES, shard),
        await _table(connection, "a fill of account", _FILLS, *numbers),
        await _table(connection, "a ledger line of command", _LINES, *numbers, MOVEMENTS_FROM),
        await _table(connection, "transfer", _TRANSFERS, *numbers),
    )


async def orders(connection: Any, shard: int) -> Table:
    """Return the orders of a shard, the oldest first."""
    return await _table(connection, "order", _ORDERS, *_numbers(shard))


async def wallets(connection: Any) -> Table:
    """Return what is in the wallets, by account and asset."""
    return await _table(connection, "a wallet of account", _WALLETS)


async def snapshots(connection: Any, shard: int) -> dict[int, bytes]:
    """Return what was kept of the books of a shard, by the journal entry it was kept after."""
    return dict(await connection.fetch(_SNAPSHOTS, shard))


def transfers_of(batch: Batch) -> list[Row]:
    """Return the transfers of a batch as rows."""
    return [
        (number, each.account_id, each.asset, each.amount, each.reference)
        for number, each in enumerate(batch.commands, batch.first_number)
        if isinstance(each, MoveFunds)
    ]


def _numbers(shard: int) -> tuple[int, int]:
    first = first_number(shard)
    return first, first + COMMANDS_A_SHARD_MAX - 2


async def _table(connection: Any, kind: str, query: str, *arguments: int) -> Table:
    return Table(kind, await connection.cursor(query, *arguments))
