"""The engine's own connection: it holds the lead of a shard and writes its batches.

The lead is an advisory lock, which goes with the connection, and an epoch, which every batch proves
inside the one statement that writes it: whoever was fenced off writes nothing, wherever it was
paused. One statement a batch is one round trip and one commit.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, NamedTuple

from backend.app.database import Database, outages_translated
from backend.app.venue.batch import Batch, Trade
from backend.app.venue.books import Books
from backend.app.venue.commands import NewOrder
from backend.app.venue.instruments import Instrument
from backend.app.venue.journal_form import written
from backend.app.venue.orders import Side
from backend.app.venue.snapshot_form import BookState, RestingOrder, Snapshot

SILENCE_SECONDS_MAX: Final = 15
"""A leader that says nothing for so long has lost the lead."""
ORDERS_A_SHARD_MAX: Final = 2**40
OPEN: Final = "open"
FILLED: Final = "filled"
_ROWS_AT_ONCE: Final = 5_000
# Strongroom's own: nobody else on this database may use this class.
_LOCK_CLASS: Final = 0x53525645
_PREPARE: Final = (
    "SET application_name = 'strongroom engine'",
    f"SET idle_session_timeout = '{SILENCE_SECONDS_MAX}s'",
    "SET tcp_keepalives_idle = 5",
    "SET tcp_keepalives_interval = 2",
    "SET tcp_keepalives_count = 3",
    # Everything here is found by its key. A plan made while the tables were small, or not analyzed
    # yet, would read them whole in every batch.
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "SET jit = off",
)
_TAKE: Final = """
INSERT INTO venue_epochs AS mine (shard, epoch, taken_at) VALUES ($1, 1, $2)
ON CONFLICT (shard) DO UPDATE SET epoch = mine.epoch + 1, taken_at = excluded.taken_at
RETURNING epoch
"""
_HELD: Final = "SELECT EXISTS (SELECT FROM venue_epochs WHERE shard = $1 AND epoch = $2)"
_INSTRUMENTS: Final = """
SELECT id, symbol, name, quote_asset, ticks_per_unit, price_ticks_min, price_ticks_max,
    order_lots_max
FROM instruments WHERE shard = $1 ORDER BY id
"""
_OPEN_ORDERS: Final = """
SELECT id, account_id, instrument_id, side, price, quantity - executed_quantity
FROM orders WHERE status = 'open' AND id BETWEEN $1 AND $2 ORDER BY id
"""
_LAST_TRADE: Final = """
SELECT id, price FROM trades WHERE instrument_id = $1 ORDER BY id DESC LIMIT 1
"""
_NAMED: Final = """
SELECT orders.id, orders.account_id, instrument_id, side, price, quantity, orders.client_order_id,
    executed_quantity, created_at
FROM unnest($1::bigint[], $2::text[]) AS wanted (account_id, client_order_id)
JOIN orders ON orders.account_id = wanted.account_id
    AND orders.client_order_id = wanted.client_order_id
"""
# No row of the epoch, no row of anything else. Numbers come as arrays in text, which PostgreSQL
# reads in less time than the driver takes to look at each of them (bench/venue.py).
_WRITE: Final = """
WITH leader AS (
    SELECT epoch FROM venue_epochs WHERE shard = $1 AND epoch = $2 FOR SHARE
), journaled AS (
    INSERT INTO venue_journal (shard, sequence, epoch, at, first_number, commands)
    SELECT $1, $3, leader.epoch, $4, $5, $6 FROM leader
), placed AS (
    INSERT INTO orders (id, account_id, instrument_id, side, price, quantity, client_order_id,
        executed_quantity, status, created_at, updated_at)
    SELECT placed.*, CASE placed.executed WHEN placed.quantity THEN 'filled' ELSE 'open' END, $4, $4
    FROM leader, unnest($7::text::bigint[], $8::text::bigint[], $9::text::int[],
        $10::text::text[], $11::text::bigint[], $12::text::bigint[], $13::text[],
        $14::text::bigint[])
        AS placed (id, account_id, instrument_id, side, price, quantity, client_order_id, executed)
), filled AS (
    UPDATE orders SET executed_quantity = executed_quantity + fills.traded, updated_at = $4,
        status = CASE executed_quantity + fills.traded WHEN quantity THEN 'filled' ELSE 'open' END
    FROM leader, unnest($15::text::bigint[], $16::text::bigint[]) AS fills (id, traded)
    WHERE orders.id = fills.id
), traded AS (
    INSERT INTO trades (id, instrument_id, maker_order_id, taker_order_id, taker_side, price,
        quantity, traded_at)
    SELECT traded.*, $4
    FROM leader, unnest($17::text::bigint[], $18::text::int[], $19::text::bigint[],
        $20::text::bigint[], $21::text::text[], $22::text::bigint[], $23::text::bigint[])
        AS traded
)
SELECT count(*) FROM leader
"""
_TRADE_COLUMNS: Final = 7


class LeadLost(Exception):
    """Another engine leads this shard: nothing was written."""


class Known(NamedTuple):
    """An order that is stored, as its owner is told of it."""

    id: int
    order: NewOrder
    executed: int
    created_at: datetime


class VenueLedger:
    """The lead of one shard, or the wish for it. For one task at a time."""

    def __init__(self, database: Database, shard: int) -> None:
        self._database = database
        self._shard = shard
        self._connection: Any = None
        self._epoch = 0
        self._sequence = 0

    async def take_lead(self, at: datetime) -> bool:
        """Tell whether this process leads the shard from now on.

        Raises:
            DatabaseUnavailable: nobody can be asked.
        """
        async with self._or_nothing():
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._database.own_connection()
                for statement in _PREPARE:
                    await self._connection.execute(statement)
            if not await self._connection.fetchval(
                "SELECT pg_try_advisory_lock($1, $2)", _LOCK_CLASS, self._shard
            ):
                return False
            # Waits for the batch that an earlier leader may still be writing.
            self._epoch = await self._connection.fetchval(_TAKE, self._shard, at)
            return True

    async def load(self) -> tuple[list[Instrument], Books]:
        """Return what is traded here, and the books as the last batch left them.

        Raises:
            DatabaseUnavailable: it cannot be read.
            OrderImpossible: what is stored as open cannot have rested.
        """
        async with self._or_nothing(), self._connection.transaction():
            read = self._connection
            instruments = [Instrument(*row) for row in await read.fetch(_INSTRUMENTS, self._shard)]
            first, last = _order_ids(self._shard)
            self._sequence = await read.fetchval(
                "SELECT coalesce(max(sequence), 0) FROM venue_journal WHERE shard = $1", self._shard
            )
            last_order_id = await read.fetchval(
                "SELECT max(id) FROM orders WHERE id BETWEEN $1 AND $2", first, last
            )
            trades = {each.id: await read.fetchrow(_LAST_TRADE, each.id) for each in instruments}
            last_trade_id = max((trade["id"] for trade in trades.values() if trade), default=0)
            resting: dict[int, list[RestingOrder]] = {each.id: [] for each in instruments}
            async for row in read.cursor(_OPEN_ORDERS, first, last, prefetch=_ROWS_AT_ONCE):
                number, account, instrument, side, price, left = row
                resting[instrument].append(RestingOrder(number, account, Side(side), price, left))
            states = [
                BookState(number, trade and trade["price"], resting[number], [])
                for number, trade in trades.items()
            ]
            books = Books.restored(
                instruments,
                Snapshot((last_order_id or first - 1) + 1, last_trade_id + 1, states, []),
            )
        return instruments, books

    async def named(self, names: Sequence[tuple[int, str]]) -> dict[tuple[int, str], Known]:
        """Return the orders that accounts have placed under these ids of their own.

        Raises:
            DatabaseUnavailable: it cannot be read.
        """
        async with self._or_nothing():
            rows = await self._connection.fetch(_NAMED, *_columns(names, 2))
        return {
            (account, name): Known(
                number,
                NewOrder(account, instrument, Side(side), price, quantity, name),
                executed,
                at,
            )
            for number, account, instrument, side, price, quantity, name, executed, at in rows
        }

    async def write(self, batch: Batch, at: datetime) -> None:
        """Return when the batch is committed, journal and tables in one.

        Raises:
            LeadLost: another engine leads; nothing was written.
            DatabaseUnavailable: it is not known whether it was written.
        """
        # Only plain limit orders so far: each command is an order.
        orders = [placed.order[:6] for placed in batch.placed]
        accounts, instruments, sides, prices, quantities, names = _columns(orders, 6)
        first = batch.first_number
        async with self._or_nothing():
            is_leader = await self._connection.fetchval(
                _WRITE,
                *(self._shard, self._epoch, self._sequence + 1, at, first, written(batch.commands)),
                *map(_text, (range(first, first + len(accounts)), accounts, instruments)),
                *(_text_of_sides(sides), _text(prices), _text(quantities)),
                # A shorter column is filled up with nulls.
                *(names if any(names) else (), _text(each.executed for each in batch.placed)),
                *(_text(batch.changed), _text(each.executed for each in batch.changed.values())),
                *_texts_of_trades(batch.trades),
            )
            if not is_leader:
                raise LeadLost
        self._sequence += 1

    async def confirm(self) -> None:
        """Show that we are there, and that we still lead.

        Raises:
            LeadLost: another engine does.
            DatabaseUnavailable: nobody can be asked.
        """
        async with self._or_nothing():
            if not await self._connection.fetchval(_HELD, self._shard, self._epoch):
                raise LeadLost

    def close(self) -> None:
        """Let go of the lead."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # Closing politely could wait for a server that is gone.
            connection.terminate()

    @asynccontextmanager
    async def _or_nothing(self) -> AsyncIterator[None]:
        try:
            async with outages_translated():
                yield
        except BaseException:
            # What was under way may still be answered, and not to the next question.
            self.close()
            raise


def _order_ids(shard: int) -> tuple[int, int]:
    return shard * ORDERS_A_SHARD_MAX + 1, (shard + 1) * ORDERS_A_SHARD_MAX - 1


def _text(numbers: Iterable[int]) -> str:
    return "{" + str(list(numbers))[1:-1] + "}"


def _text_of_sides(sides: Sequence[Side]) -> str:
    return "{" + ",".join(sides) + "}"


def _texts_of_trades(trades: Sequence[Trade]) -> list[str]:
    ids, instruments, makers, takers, sides, prices, quantities = _columns(trades, _TRADE_COLUMNS)
    before, after = (ids, instruments, makers, takers), (prices, quantities)
    return [*map(_text, before), _text_of_sides(sides), *map(_text, after)]


def _columns(rows: Sequence[tuple[Any, ...]], count: int) -> list[Sequence[Any]]:
    return list(zip(*rows, strict=True)) if rows else [()] * count
