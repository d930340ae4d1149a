"""The audit writer's own connection: a group of records in one statement and one commit.

It remembers where the chain ends and writes on from there if that still stands, which is one
round trip. If somebody else appended meanwhile it takes the head's lock and writes on from theirs.
"""

from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from backend.app.audit_chain import CHAIN, Head, extended
from backend.app.audit_record import WrittenRecord
from backend.app.database import Database, outages_translated

# The head moves only if it is where we left it, and the rows are written only if it moved.
_APPEND: Final = """
WITH moved AS (
    UPDATE audit_chain_heads SET seq = $4, hash = $5
    WHERE chain = $1 AND seq = $2 AND hash = $3
    RETURNING chain
)
INSERT INTO audit_events (chain, seq, at, payload, hash)
SELECT moved.chain, $2 + link.place, link.at, link.payload, link.hash FROM moved, unnest(
    $6::timestamptz[], $7::bytea[], $8::bytea[]
) WITH ORDINALITY AS link (at, payload, hash, place)
"""
_LOCK: Final = "SELECT seq, hash FROM audit_chain_heads WHERE chain = $1 FOR UPDATE"
_NOTHING_WRITTEN: Final = "INSERT 0 0"


class AuditAppender:
    """Appends to the chain, outside of anybody's transaction. For one task at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Any = None
        self._head: Head | None = None

    async def append(self, records: Sequence[WrittenRecord]) -> None:
        """Return when the records are committed.

        Raises:
            DatabaseUnavailable: they are not, or not known to be.
        """
        try:
            async with outages_translated():
                await self._append(records)
        except BaseException:
            # What was under way may still be answered, and not to the next question.
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connection; the next append opens another."""
        connection, self._connection, self._head = self._connection, None, None
        if connection is not None:
            # Closing politely could wait for a server that is gone.
            connection.terminate()

    async def _append(self, records: Sequence[WrittenRecord]) -> None:
        if self._connection is None or self._connection.is_closed():
            self._head = None
            self._connection = await self._database.own_connection()
        if self._head is not None and await self._written(self._head, records):
            return
        async with self._connection.transaction():
            self._head = await append_within(self._connection, records)

    async def _written(self, head: Head, records: Sequence[WrittenRecord]) -> bool:
        self._head, written = await _append_after(self._connection, head, records)
        return written


async def append_within(connection: asyncpg.Connection, records: Sequence[WrittenRecord]) -> Head:
    """Append in the transaction that is open on a connection, as its last act; return the end.

    The chain's head stays locked until that transaction ends, and everybody who records waits.
    """
    head = Head(*await connection.fetchrow(_LOCK, CHAIN))
    moved, _ = await _append_after(connection, head, records)
    return moved


async def _append_after(
    connection: asyncpg.Connection, head: Head, records: Sequence[WrittenRecord]
) -> tuple[Head, bool]:
    links = extended(head, [record.payload for record in records])
    last = links[-1]
    said = await connection.execute(
        _APPEND,
        *(CHAIN, *head, *last),
        [record.at for record in records],
        [record.payload for record in records],
        [link.hash for link in links],
    )
    return last, bool(said != _NOTHING_WRITTEN)
