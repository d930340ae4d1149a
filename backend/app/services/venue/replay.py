"""The journal, carried out anew in memory, against the tables that are said to follow from it."""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from backend.app.database import Database
from backend.app.repositories.venue_ledger import FILLED, OPEN, ORDERS_A_SHARD_MAX
from backend.app.venue.batch import Refused, Trade
from backend.app.venue.books import Books, OrderImpossible
from backend.app.venue.commands import Command, NewOrder
from backend.app.venue.instruments import Instrument
from backend.app.venue.journal_form import JournalUnreadable, read

_ROWS_AT_ONCE: Final = 5_000
_BYTES_HASHED_AT_ONCE: Final = 1 << 16
_INSTRUMENTS: Final = """
SELECT id, symbol, name, quote_asset, ticks_per_unit, price_ticks_min, price_ticks_max,
    order_lots_max
FROM instruments WHERE shard = $1 ORDER BY id
"""
_JOURNAL: Final = """
SELECT sequence, first_number, commands FROM venue_journal WHERE shard = $1 ORDER BY sequence
"""
_ORDERS: Final = """
SELECT id, account_id, instrument_id, side, price, quantity, client_order_id, executed_quantity,
    status
FROM orders WHERE id BETWEEN $1 AND $2 ORDER BY id
"""
_TRADES: Final = """
SELECT trades.id, instrument_id, maker_order_id, taker_order_id, taker_side, trades.price, quantity
FROM trades JOIN instruments ON instruments.id = instrument_id
WHERE shard = $1 ORDER BY trades.id
"""

Row = tuple[Any, ...]


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
    """A market made anew, batch by batch. It is all in memory: about 500 bytes an order."""

    def __init__(self, instruments: Iterable[Instrument], shard: int = 0) -> None:
        self._first_order_id = shard * ORDERS_A_SHARD_MAX + 1
        self._books = Books(instruments, self._first_order_id, 1)
        self._orders: list[NewOrder] = []
        self._executed: list[int] = []
        self.trades: list[Trade] = []

    @property
    def next_order_id(self) -> int:
        """The number the next order gets."""
        return self._first_order_id + len(self._orders)

    def add(self, commands: list[Command]) -> None:
        """Carry out one more batch.

        Raises:
            OrderImpossible: a book refuses one of them.
        """
        batch = self._books.carry_out(commands)
        if any(isinstance(outcome, Refused) for outcome in batch.outcomes):
            raise OrderImpossible("a command is refused")
        self._orders += [placed.order for placed in batch.placed]
        self._executed += [placed.executed for placed in batch.placed]
        for order_id, change in batch.changed.items():
            self._executed[order_id - self._first_order_id] += change.executed
        self.trades += batch.trades

    def orders(self) -> Iterator[Row]:
        """Walk all orders as they stand now, the oldest first."""
        stand = zip(self._orders, self._executed, strict=True)
        for number, (order, executed) in enumerate(stand, self._first_order_id):
            account, instrument, side, price, quantity, name, *_ = order
            status = FILLED if executed == quantity else OPEN
            yield number, account, instrument, side, price, quantity, name, executed, status

    def open_orders(self) -> list[tuple[int, int]]:
        """Return what rests in the books: each order's id, and what is left of it."""
        return sorted(self._books.open_orders())

    def digest(self) -> str:
        """Return one number for all orders, trades and books; it says nothing of batches or time.

        SHA-256 over a line for each order, trade and open order, in this order.
        """
        said = hashlib.sha256()
        lines = bytearray()
        for kind, rows in (("o", self.orders()), ("t", self.trades), ("b", self.open_orders())):
            for row in rows:
                lines += f"{kind} {' '.join(map(str, row))}\n".encode()
                if len(lines) > _BYTES_HASHED_AT_ONCE:
                    said.update(lines)
                    lines.clear()
        said.update(lines)
        return said.hexdigest()


async def replay(
    database: Database, shard: int, told: Callable[[int], None] = lambda _: None
) -> Replayed:
    """Carry the journal of a shard out anew and compare; `told` hears of each batch's orders.

    All of it is read at one moment, while the engine may go on.

    Raises:
        DatabaseUnavailable: it cannot be read.
    """
    connection = await database.own_connection()
    try:
        await connection.execute("SET statement_timeout = 0")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await _replay(connection, shard, told)
    finally:
        await connection.close()


async def _replay(connection: Any, shard: int, told: Callable[[int], None]) -> Replayed:
    rows = await connection.fetch(_INSTRUMENTS, shard)
    market, batches, difference = Replay((Instrument(*row) for row in rows), shard), 0, None
    async for sequence, first_order_id, commands in connection.cursor(
        _JOURNAL, shard, prefetch=_ROWS_AT_ONCE // 50
    ):
        batches += 1
        if (sequence, first_order_id) != (batches, market.next_order_id):
            difference = f"the journal breaks off before entry {sequence}"
            break
        try:
            orders = read(commands)
            market.add(orders)
        except (JournalUnreadable, OrderImpossible, KeyError) as error:
            difference = f"entry {sequence} of the journal cannot be carried out: {error}"
            break
        told(len(orders))
    if difference is None:
        first, last = shard * ORDERS_A_SHARD_MAX + 1, (shard + 1) * ORDERS_A_SHARD_MAX - 1
        orders_told = connection.cursor(_ORDERS, first, last, prefetch=_ROWS_AT_ONCE)
        difference = await _first_difference("order", market.orders(), orders_told)
    if difference is None:
        trades_told = connection.cursor(_TRADES, shard, prefetch=_ROWS_AT_ONCE)
        difference = await _first_difference("trade", market.trades, trades_told)
    if difference is None:
        # The books, against what an engine that starts would make them of.
        open_orders = [(row[0], row[5] - row[7]) for row in market.orders() if row[8] == OPEN]
        difference = None if open_orders == market.open_orders() else "the books differ"
    return Replayed(
        batches,
        market.next_order_id - market._first_order_id,  # noqa: SLF001 - its own module
        len(market.trades),
        len(market.open_orders()),
        market.digest(),
        difference,
    )


async def _first_difference(
    kind: str, expected: Iterable[Row], stored: AsyncIterator[Any]
) -> str | None:
    rest = iter(expected)
    async for row in stored:
        due = next(rest, None)
        if due is None:
            return f"{kind} {row[0]} is stored, and the journal knows nothing of it"
        if tuple(row) != due:
            return f"{kind} {due[0]} is not stored as the journal says"
    missing = next(rest, None)
    return None if missing is None else f"{kind} {missing[0]} is not stored"
