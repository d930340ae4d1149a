"""The tables of a shard, read along with what its journal says must be in them."""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from backend.app.repositories.venue_reading import (
    COMMANDS_A_SHARD_MAX,
    ENTRIES_AT_ONCE,
    first_number,
)
from backend.app.repositories.venue_writing import MOVEMENTS_FROM, movement_kind
from backend.app.venue.batch import Batch
from backend.app.venue.commands import Command, MoveFunds
from backend.app.venue.journal_form import read as read_commands

Row = tuple[Any, ...]

_JOURNAL: Final = """
SELECT sequence, first_number, commands, at, changed FROM venue_journal
WHERE shard = $1 ORDER BY sequence
"""
_ORDERS: Final = """
SELECT id, account_id, instrument_id, side, price, quantity, client_order_id, order_type,
    time_in_force, stop_price, self_trade, budget * 1000000000000, executed_quantity,
    executed_value, status, created_at, updated_at
FROM orders WHERE id BETWEEN $1 AND $2 ORDER BY id
"""
_TRADES: Final = """
SELECT trades.id, instrument_id, maker_order_id, taker_order_id, taker_side, trades.price, quantity,
    traded_at
FROM trades JOIN instruments ON instruments.id = instrument_id
WHERE shard = $1 ORDER BY trades.id
"""
_FILLS: Final = """
SELECT account_id, trade_id, instrument_id, order_id, side, is_maker, price, quantity,
    fee * 1000000000000, traded_at
FROM fills WHERE order_id BETWEEN $1 AND $2 ORDER BY trade_id, is_maker DESC
"""
_MOVEMENTS: Final = """
SELECT id - $3::bigint, kind, reference_id, at
FROM ledger_movements WHERE id BETWEEN $1::bigint + $3::bigint AND $2::bigint + $3::bigint
ORDER BY id
"""
_LINES: Final = """
SELECT l.movement_id - $3::bigint, coalesce(a.venue_account_id, 0), a.asset, a.kind,
    l.amount * 1000000000000
FROM ledger_lines AS l LEFT JOIN ledger_accounts AS a ON a.id = l.account_id
WHERE l.movement_id BETWEEN $1::bigint + $3::bigint AND $2::bigint + $3::bigint
ORDER BY 1, 2, a.asset COLLATE "C", a.kind COLLATE "C"
"""
_TRANSFERS: Final = """
SELECT number, account_id, asset, amount * 1000000000000, reference, at
FROM venue_transfers WHERE number BETWEEN $1 AND $2 ORDER BY number
"""
_WALLETS: Final = """
SELECT account_id, asset, available * 1000000000000, locked * 1000000000000
FROM wallets WHERE available <> 0 OR locked <> 0 ORDER BY account_id, asset COLLATE "C"
"""
_PLACE: Final = "SELECT sequence, trade_id FROM venue_feeds WHERE shard = $1"
_HEADS: Final = """
SELECT head.channel, head.seq FROM channel_heads AS head
WHERE split_part(channel, ':', 1) = ANY($1) AND EXISTS (
    SELECT FROM channel_messages AS message WHERE message.channel = head.channel
) ORDER BY channel
"""
_MESSAGES: Final = "SELECT seq, body FROM channel_messages WHERE channel = $1 ORDER BY seq"
_USERS: Final = "SELECT id FROM users WHERE id = ANY($1)"
_SNAPSHOTS: Final = "SELECT sequence, state FROM venue_snapshots WHERE shard = $1"


class Entry(NamedTuple):
    """An entry of the journal, with what is only there to be proved."""

    sequence: int
    first_number: int
    commands: Sequence[Command]
    at: datetime
    changed: Sequence[int] | None
    """None, if it was written before the journal said what a batch changed."""


class Table:
    """The rows of a table, in the order in which they came about."""

    def __init__(self, kind: str, cursor: Any) -> None:
        self._kind = kind
        self._cursor = cursor

    async def difference(self, expected: Sequence[Row]) -> str | None:
        """Return the first difference of the next rows from these, in words."""
        if not expected:
            return None
        stored = await self._cursor.fetch(len(expected))
        for due, found in zip(expected, stored, strict=False):
            for (column, is_stored), is_due in zip(found.items(), due, strict=True):
                if is_stored != is_due:
                    return (
                        f"{self._kind} {due[0]} is not stored as the journal says:"
                        f" {column} is {is_stored}, not {is_due}"
                    )
        if len(stored) < len(expected):
            return f"{self._kind} {expected[len(stored)][0]} is not stored"
        return None

    async def surplus(self) -> str | None:
        """Return, in words, what is stored beyond the rows that were expected."""
        for row in await self._cursor.fetch(1):
            return f"{self._kind} {row[0]} is stored, and the journal knows nothing of it"
        return None


async def journal(connection: Any, shard: int) -> AsyncIterator[Entry]:
    """Walk the whole journal of a shard, in a transaction.

    Raises:
        JournalUnreadable: an entry is of no form this code knows.
    """
    async for sequence, first, commands, at, changed in connection.cursor(
        _JOURNAL, shard, prefetch=ENTRIES_AT_ONCE
    ):
        yield Entry(sequence, first, read_commands(commands), at, changed)


async def tables(connection: Any, shard: int) -> tuple[Table, ...]:
    """Return what grows with the journal: the tables whose rows `rows_of` names."""
    numbers = _numbers(shard)
    moved = *numbers, MOVEMENTS_FROM
    return (
        await _table(connection, "trade", _TRADES, shard),
        await _table(connection, "a fill of account", _FILLS, *numbers),
        await _table(connection, "the movement of command", _MOVEMENTS, *moved),
        await _table(connection, "a ledger line of command", _LINES, *moved),
        await _table(connection, "transfer", _TRANSFERS, *numbers),
    )


def rows_of(batch: Batch, at: datetime) -> tuple[Sequence[Row], ...]:
    """Return what a batch of this time has brought about, table by table as in `tables`."""
    commands = list(enumerate(batch.commands, batch.first_number))
    lines = in_order(batch)
    moved = dict.fromkeys(number for number, *_ in lines)
    return (
        [(*trade, at) for trade in batch.trades],
        [(*fill, at) for fill in batch.fills],
        [
            (number, movement_kind(batch.commands[number - batch.first_number]), number, at)
            for number in moved
        ],
        lines,
        [
            (number, each.account_id, each.asset, each.amount, each.reference, at)
            for number, each in commands
            if isinstance(each, MoveFunds)
        ],
    )


def in_order(batch: Batch) -> list[Row]:
    """Return ledger lines as rows, in the one order that does not depend on how they came."""
    return sorted(
        (number, account_id or 0, asset, pocket.value, amount)
        for number, account_id, asset, pocket, amount in batch.lines
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


class Place(NamedTuple):
    """How far a shard was told."""

    sequence: int
    trade_id: int


async def place(connection: Any, shard: int) -> Place | None:
    """Return how far the feed of a shard has told, if it has one."""
    found = await connection.fetchrow(_PLACE, shard)
    return None if found is None else Place(*found)


async def heads(connection: Any, kinds: Collection[str]) -> dict[str, int]:
    """Return the channels of some kinds with kept messages, with the number of the last one."""
    return dict(await connection.fetch(_HEADS, list(kinds)))


async def messages(connection: Any, channel: str) -> list[tuple[int, str]]:
    """Return the kept messages of a channel: their numbers and bodies."""
    return [tuple(row) for row in await connection.fetch(_MESSAGES, channel)]


async def users(connection: Any, ids: Collection[int]) -> set[int]:
    """Return those users who are still there."""
    return {row["id"] for row in await connection.fetch(_USERS, list(ids))}


def _numbers(shard: int) -> tuple[int, int]:
    first = first_number(shard)
    return first, first + COMMANDS_A_SHARD_MAX - 2


async def _table(connection: Any, kind: str, query: str, *arguments: int) -> Table:
    return Table(kind, await connection.cursor(query, *arguments))
