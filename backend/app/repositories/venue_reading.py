"""What an engine that starts reads: instruments, the latest snapshot, and the journal after it."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple

from backend.app.venue.commands import Command
from backend.app.venue.instruments import Instrument
from backend.app.venue.journal_form import read as read_commands
from backend.app.venue.snapshot_form import Snapshot, SnapshotUnreadable
from backend.app.venue.snapshot_form import read as read_snapshot

_INSTRUMENTS: Final = """
SELECT id, symbol, name, quote_asset, ticks_per_unit, price_ticks_min, price_ticks_max,
    order_lots_max, base_asset, lots_per_unit, (notional_min * 1000000000000)::bigint,
    maker_fee_ppm, taker_fee_ppm, is_active
FROM instruments WHERE shard = $1 ORDER BY id
"""
_SNAPSHOT: Final = """
SELECT sequence, checksum, state FROM venue_snapshots
WHERE shard = $1 ORDER BY sequence DESC LIMIT 1
"""
_JOURNAL: Final = """
SELECT sequence, first_number, commands FROM venue_journal
WHERE shard = $1 AND sequence > $2 ORDER BY sequence
"""
# While they are carried out the transaction is idle, which PostgreSQL does not suffer for long.
ENTRIES_AT_ONCE: Final = 20


class Entry(NamedTuple):
    """The commands of one batch, as they were numbered and carried out."""

    sequence: int
    first_number: int
    commands: Sequence[Command]


def first_number(shard: int) -> int:
    """Return the number of a shard's first command."""
    return shard * COMMANDS_A_SHARD_MAX + 1


COMMANDS_A_SHARD_MAX: Final = 2**40


async def instruments(connection: Any, shard: int) -> list[Instrument]:
    """Return what is traded on a shard."""
    return [Instrument(*row) for row in await connection.fetch(_INSTRUMENTS, shard)]


async def snapshot(connection: Any, shard: int) -> tuple[int, Snapshot] | None:
    """Return the latest snapshot and the journal entry it was taken after.

    None, if there is none, or it is damaged, or of another form: the journal says it all too.
    """
    row = await connection.fetchrow(_SNAPSHOT, shard)
    if row is None or hashlib.sha256(row["state"]).digest() != row["checksum"]:
        return None
    try:
        return row["sequence"], read_snapshot(row["state"])
    except SnapshotUnreadable:
        return None


async def journal(connection: Any, shard: int, after: int) -> AsyncIterator[Entry]:
    """Walk the journal of a shard after an entry, in a transaction.

    Raises:
        JournalUnreadable: an entry is of no form this code knows.
    """
    async for sequence, first, commands in connection.cursor(
        _JOURNAL, shard, after, prefetch=ENTRIES_AT_ONCE
    ):
        yield Entry(sequence, first, read_commands(commands))
