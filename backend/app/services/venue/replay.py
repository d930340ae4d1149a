"""The journal, carried out anew in memory, against the tables that are said to follow from it."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final, NamedTuple

from backend.app.database import Database, outages_translated
from backend.app.repositories import venue_proof, venue_reading
from backend.app.repositories.venue_proof import Entry, Row, Table, in_order
from backend.app.services.venue.spot_markets import SPOT_SHARD
from backend.app.services.venue.stands import Stands
from backend.app.services.venue.told_proof import ToldProof
from backend.app.venue.batch import Batch
from backend.app.venue.books import Books, OrderImpossible
from backend.app.venue.commands import Command
from backend.app.venue.instruments import Instrument
from backend.app.venue.journal_form import JournalUnreadable
from backend.app.venue.snapshot_form import written as written_snapshot

_BYTES_HASHED_AT_ONCE: Final = 1 << 16
_ROWS_AT_ONCE: Final = 5_000


class Replayed(NamedTuple):
    """What the journal says, and whether the tables say the same."""

    batches: int
    orders: int
    trades: int
    open_orders: int
    digest: str
    difference: str | None
    """The first thing that differs, in words; None if nothing does."""


class Replay:
    """A market made anew, batch by batch."""

    def __init__(self, instruments: Iterable[Instrument], shard: int = 0) -> None:
        first = venue_reading.first_number(shard)
        self.books = Books(instruments, first, 1)
        self.next_number = first
        self.stands = Stands(first)
        self.trades = 0
        self._said_trades = _Hash()
        self._said_lines = _Hash()

    def add(self, commands: Sequence[Command], at: datetime | None = None) -> Batch:
        """Carry out one more batch; without its time, all but times can be told.

        Raises:
            OrderImpossible: a command was not to be carried out.
        """
        batch = self.books.carry_out(commands)
        if len(batch.commands) != len(commands):
            raise OrderImpossible("a command of it is refused")
        self.next_number += len(commands)
        self.stands.add(batch, at)
        self.trades += len(batch.trades)
        self._said_trades.say(batch.trades)
        self._said_lines.say(in_order(batch))
        return batch

    def open_orders(self) -> list[tuple[int, int]]:
        """Return what is in the books: each order's id, and what is left of it."""
        return sorted(self.books.open_orders())

    def digest(self) -> str:
        """Return one number for all that came about; it says nothing of batches or time.

        SHA-256 over those of all trades, ledger lines, orders, open orders and wallets.
        """
        said = (self.stands.rows(), self.open_orders(), self.books.holdings())
        parts = (self._said_trades, self._said_lines, *(_Hash().say(rows) for rows in said))
        return hashlib.sha256("".join(part.hexdigest() for part in parts).encode()).hexdigest()


class _Hash:
    """SHA-256 over a line for each row."""

    def __init__(self) -> None:
        self._said = hashlib.sha256()
        self._lines = bytearray()

    def say(self, rows: Iterable[Row]) -> "_Hash":
        for row in rows:
            self._lines += f"{' '.join(map(str, row))}\n".encode()
            if len(self._lines) > _BYTES_HASHED_AT_ONCE:
                self._said.update(self._lines)
                self._lines.clear()
        return self

    def hexdigest(self) -> str:
        self._said.update(self._lines)
        self._lines.clear()
        return self._said.hexdigest()


async def replay(
    database: Database, shard: int, told: Callable[[int], None] = lambda _: None
) -> Replayed:
    """Carry the journal of a shard out anew and compare; `told` hears of each batch's commands.

    All of it is read at one moment, while the engine may go on.

    Raises:
        DatabaseUnavailable: it cannot be read.
    """
    connection = await database.own_connection()
    try:
        # It computes for as long as the journal is long, and reads now and then.
        async with outages_translated():
            for each in ("statement_timeout", "idle_in_transaction_session_timeout"):
                await connection.execute(f"SET {each} = 0")
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                return await _Comparison(connection, shard, told).run()
    finally:
        await connection.close()


class _Comparison:
    """The journal of one shard, and the tables read along with it."""

    def __init__(self, connection: Any, shard: int, told: Callable[[int], None]) -> None:
        self._connection = connection
        self._shard = shard
        self._told = told
        self._batches = 0
        self._says_changed = False
        self._feed = ToldProof(())

    async def run(self) -> Replayed:
        instruments = await venue_reading.instruments(self._connection, self._shard)
        market = Replay(instruments, self._shard)
        try:
            difference = await self._along_the_journal(market, instruments)
        except (JournalUnreadable, OrderImpossible) as error:
            entry = self._batches + 1
            difference = f"entry {entry} of the journal cannot be carried out: {error}"
        if difference is None:
            difference = await self._at_the_end(market)
        return Replayed(
            self._batches,
            market.stands.count,
            market.trades,
            len(market.open_orders()),
            market.digest(),
            difference,
        )

    async def _along_the_journal(
        self, market: Replay, instruments: Sequence[Instrument]
    ) -> str | None:
        # Cards have no feed.
        if self._shard == SPOT_SHARD:
            self._feed = ToldProof(instruments)
            if (difference := await self._feed.read(self._connection, self._shard)) is not None:
                return difference
            self._feed.begin(market.books)
        tables = await venue_proof.tables(self._connection, self._shard)
        snapshots = await venue_proof.snapshots(self._connection, self._shard)
        async for entry in venue_proof.journal(self._connection, self._shard):
            difference = await self._of_entry(market, entry, tables)
            if difference is not None:
                return difference
            kept = snapshots.pop(entry.sequence, None)
            if kept is not None and kept != written_snapshot(market.books.snapshot()):
                return f"the snapshot after entry {entry.sequence} is not what the books were"
        if snapshots:
            return f"there is a snapshot after entry {min(snapshots)}, which is not there"
        for table in tables:
            if (difference := await table.surplus()) is not None:
                return difference
        return None

    async def _of_entry(self, market: Replay, entry: Entry, tables: Iterable[Table]) -> str | None:
        if (entry.sequence, entry.first_number) != (self._batches + 1, market.next_number):
            return f"the journal breaks off before entry {entry.sequence}"
        batch = market.add(entry.commands, entry.at)
        self._batches += 1
        self._told(len(entry.commands))
        if not self._is_changed(entry, batch):
            return f"entry {entry.sequence} of the journal names other orders than it changed"
        for table, expected in zip(tables, venue_proof.rows_of(batch, entry.at), strict=True):
            if (difference := await table.difference(expected)) is not None:
                return difference
        return self._feed.add(entry, batch, market.books, market.stands)

    def _is_changed(self, entry: Entry, batch: Batch) -> bool:
        """Return whether the feed is told of just those older orders that a batch changed."""
        if entry.changed is None and not self._says_changed:
            return True
        # An entry that says it is never followed by one that does not.
        self._says_changed = True
        return sorted(entry.changed or ()) == sorted(batch.changed)

    async def _at_the_end(self, market: Replay) -> str | None:
        orders = await venue_proof.orders(self._connection, self._shard)
        rows = market.stands.rows_in_time()
        while expected := list(islice(rows, _ROWS_AT_ONCE)):
            if (difference := await orders.difference(expected)) is not None:
                return difference
        difference = await orders.surplus()
        if difference is None and list(market.stands.open()) != market.open_orders():
            difference = "the books differ from the orders"
        holdings = list(market.books.holdings())
        if difference is None and holdings:
            wallets = await venue_proof.wallets(self._connection)
            difference = await wallets.difference(holdings) or await wallets.surplus()
        return difference or self._feed.missing(market.stands)
