"""The engine's own connection: it holds the lead of a shard and writes its batches.

The lead is an advisory lock, which goes with the connection, and an epoch, which every batch proves
inside the one statement that writes it (`venue_writing.py`): whoever was fenced off writes nothing.
One statement a batch is one round trip and one commit.
"""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, NamedTuple

from backend.app.database import Database, outages_translated
from backend.app.repositories import venue_reading
from backend.app.repositories.venue_names import Memory, Name, known
from backend.app.repositories.venue_wallets import WalletIds
from backend.app.repositories.venue_writing import statement
from backend.app.venue.batch import Batch
from backend.app.venue.books import Books, OrderImpossible
from backend.app.venue.instruments import Instrument
from backend.app.venue.journal_form import written as written_commands

SILENCE_SECONDS_MAX: Final = 15
"""A leader that says nothing for so long has lost the lead."""
SNAPSHOTS_KEPT: Final = 2
# Strongroom's own: nobody else on this database may use this class.
_LOCK_CLASS: Final = 0x53525645
_NAME: Final = "SET application_name = 'strongroom engine'"
# Everything here is found by its key. A plan made while the tables were small, or not analyzed yet,
# would read them whole in every batch.
_BY_KEYS: Final = (
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "SET jit = off",
)
_PREPARE: Final = (
    _NAME,
    f"SET idle_session_timeout = '{SILENCE_SECONDS_MAX}s'",
    "SET tcp_keepalives_idle = 5",
    "SET tcp_keepalives_interval = 2",
    "SET tcp_keepalives_count = 3",
    *_BY_KEYS,
    # A plan for each batch costs more than it is worth.
    "SET plan_cache_mode = force_generic_plan",
)
_TAKE: Final = """
INSERT INTO venue_epochs AS mine (shard, epoch, taken_at) VALUES ($1, 1, $2)
ON CONFLICT (shard) DO UPDATE SET epoch = mine.epoch + 1, taken_at = excluded.taken_at
RETURNING epoch
"""
_HELD: Final = "SELECT EXISTS (SELECT FROM venue_epochs WHERE shard = $1 AND epoch = $2)"
_KEEP: Final = """
INSERT INTO venue_snapshots (shard, sequence, taken_at, checksum, state)
SELECT $1, $3, $4, $5, $6 FROM (
    SELECT FROM venue_epochs WHERE shard = $1 AND epoch = $2 FOR SHARE
) AS leader ON CONFLICT DO NOTHING
"""
_FORGET: Final = """
DELETE FROM venue_snapshots WHERE shard = $1 AND sequence < (
    SELECT min(sequence) FROM (
        SELECT sequence FROM venue_snapshots WHERE shard = $1 ORDER BY sequence DESC LIMIT $2
    ) AS kept
)
"""


class LeadLost(Exception):
    """Another engine leads this shard: nothing was written."""


class Loaded(NamedTuple):
    """What the last batch left, and how many commands came after the snapshot it was read from."""

    instruments: Sequence[Instrument]
    books: Books
    commands_after_snapshot: int


class Ready(NamedTuple):
    """A batch as it goes over the wire."""

    first_number: int
    at: datetime
    journal: bytes
    query: str
    parameters: Sequence[Any]


class VenueLedger:
    """The lead of one shard, or the wish for it. For one task that writes, and one that reads."""

    def __init__(self, database: Database, shard: int) -> None:
        self._database = database
        self.shard = shard
        self._connection: Any = None
        self._reader: Any = None
        self._wallets = WalletIds()
        self._epoch = 0
        # The last entry of the journal.
        self.sequence = 0

    async def take_lead(self, at: datetime) -> bool:
        """Tell whether this process leads the shard from now on.

        Raises:
            DatabaseUnavailable: nobody can be asked.
        """
        async with self._or_nothing():
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._database.own_connection()
                for each in _PREPARE:
                    await self._connection.execute(each)
            if not await self._connection.fetchval(
                "SELECT pg_try_advisory_lock($1, $2)", _LOCK_CLASS, self.shard
            ):
                return False
            # Waits for the batch that an earlier leader may still be writing.
            self._epoch = await self._connection.fetchval(_TAKE, self.shard, at)
            return True

    async def load(self) -> Loaded:
        """Return what is traded here, and the books as the last batch left them.

        Raises:
            DatabaseUnavailable: it cannot be read.
            OrderImpossible: the journal cannot have come about; `venue replay --verify` says more.
            JournalUnreadable: an entry of it is of no form this code knows.
        """
        async with self._or_nothing(), self._connection.transaction():
            read = self._connection
            instruments = await venue_reading.instruments(read, self.shard)
            found = await venue_reading.snapshot(read, self.shard)
            if found is None:
                self.sequence = 0
                books = Books(instruments, venue_reading.first_number(self.shard), 1)
            else:
                self.sequence, state = found
                books = Books.restored(instruments, state)
            commands = 0
            async for entry in venue_reading.journal(read, self.shard, self.sequence):
                self.sequence += 1
                batch = books.carry_out(entry.commands)
                if entry[:2] != (self.sequence, batch.first_number) or len(batch.commands) != len(
                    entry.commands
                ):
                    raise OrderImpossible(f"entry {entry.sequence} of the journal")
                commands += len(entry.commands)
        return Loaded(instruments, books, commands)

    async def known(self, names: Sequence[Name]) -> Memory:
        """Return what accounts have asked under these names of their own.

        What is being written meanwhile may be missing.

        Raises:
            DatabaseUnavailable: it cannot be read.
        """
        async with self._or_nothing():
            return await known(await self._other_connection(), self.shard, names)

    async def prepare(self, batch: Batch, at: datetime) -> Ready:
        """Return a batch as it is sent; ledger accounts that it is the first to use are opened now.

        Raises:
            DatabaseUnavailable: they may have been opened, or not.
        """
        new = self._wallets.missing(batch.lines)
        if new:
            async with self._or_nothing():
                await self._wallets.open(await self._other_connection(), new, at)
        journal = written_commands(batch.commands)
        return Ready(batch.first_number, at, journal, *statement(batch, self._wallets.ids))

    async def write(self, batch: Ready) -> None:
        """Return when the batch is committed, journal and tables in one.

        Raises:
            LeadLost: another engine leads; nothing was written.
            DatabaseUnavailable: it is not known whether it was written.
        """
        first, at, journal, query, parameters = batch
        async with self._or_nothing():
            is_leader = await self._connection.fetchval(
                query,
                *(self.shard, self._epoch, self.sequence + 1, at, first, journal, *parameters),
            )
            if not is_leader:
                raise LeadLost
        self.sequence += 1

    async def keep(self, state: bytes, sequence: int, at: datetime) -> None:
        """Store the books as they were after an entry of the journal, for a sooner start.

        Raises:
            DatabaseUnavailable: it may be stored, or not.
        """
        checksum = hashlib.sha256(state).digest()
        async with outages_translated():
            connection = await self._database.own_connection()
            try:
                await connection.execute(
                    _KEEP, self.shard, self._epoch, sequence, at, checksum, state
                )
                await connection.execute(_FORGET, self.shard, SNAPSHOTS_KEPT)
            finally:
                connection.terminate()

    async def confirm(self) -> None:
        """Show that we are there, and that we still lead.

        Raises:
            LeadLost: another engine does.
            DatabaseUnavailable: nobody can be asked.
        """
        async with self._or_nothing():
            if not await self._connection.fetchval(_HELD, self.shard, self._epoch):
                raise LeadLost

    def close(self) -> None:
        """Let go of the lead."""
        connections = self._connection, self._reader
        self._connection = self._reader = None
        for each in connections:
            if each is not None:
                # Closing politely could wait for a server that is gone.
                each.terminate()

    async def _other_connection(self) -> Any:
        """Return a connection for whatever happens beside the writing."""
        if self._reader is None:
            self._reader = await self._database.own_connection()
            # Where one of several keys fits, a plan of when the tables were empty takes any.
            for each in (_NAME, *_BY_KEYS, "SET plan_cache_mode = force_custom_plan"):
                await self._reader.execute(each)
        return self._reader

    @asynccontextmanager
    async def _or_nothing(self) -> AsyncIterator[None]:
        try:
            async with outages_translated():
                yield
        except BaseException:
            # What was under way may still be answered, and not to the next question.
            self.close()
            raise
