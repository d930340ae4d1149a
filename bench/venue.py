"""Card orders through the durable engine, against COPY of the same rows and against one by one.

python -m bench.venue [ORDERS]

Every order is answered after its commit. `copy` is binary COPY of the orders and trades that come
out, into the same tables with the same keys and indexes: the least PostgreSQL can do with them.
`restart` is that of an engine that was stopped, and of one that was killed when its next snapshot
was due: it has the most to carry out again.
`one by one` is how it is usually done: a transaction for each order, the best counterpart locked.
"""

import asyncio
import gc
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from random import Random
from statistics import quantiles
from typing import Any

import asyncpg
import uvloop

from backend.app.clock import utc_now
from backend.app.commands.venue_bench import send
from backend.app.commands.venue_file import CARDS, PRICE_TICKS, TRADERS
from backend.app.config import DatabaseSettings, ServerSettings
from backend.app.database import Database
from backend.app.logs import configure_logging
from backend.app.migrations import migrate
from backend.app.repositories.venue_ledger import VenueLedger
from backend.app.repositories.venue_reading import instruments
from backend.app.repositories.venue_wallets import WalletIds
from backend.app.repositories.venue_writing import MOVEMENTS_FROM, wallet_of
from backend.app.services.card_service import CARD_SHARD
from backend.app.services.venue.replay import Replay, replay
from backend.app.services.venue.snapshot_keeper import SNAPSHOT_COMMANDS_MAX
from backend.app.services.venue.spot_markets import SPOT_SHARD
from backend.app.venue.commands import Command, MoveFunds, NewOrder
from backend.app.venue.instruments import ATOMS_PER_UNIT
from backend.app.venue.orders import Side
from bench._support import judged, postgres

_CLIENTS = 1_000
_ONE_BY_ONE_CLIENTS = 8
_ONE_BY_ONE_ORDERS = 3_000
_COPY_GOAL = 3.5
_ONE_BY_ONE_GOAL = 20
_RESTART_SECONDS_GOAL = 2.0

_FUNDED_GOAL = 5

_ORDER_COLUMNS = (
    *("id", "account_id", "instrument_id", "side", "price", "quantity", "client_order_id"),
    *("order_type", "time_in_force", "stop_price", "self_trade", "budget"),
    *("executed_quantity", "executed_value", "status", "created_at", "updated_at"),
)
_TRADE_COLUMNS = (
    *("id", "instrument_id", "maker_order_id", "taker_order_id", "taker_side", "price"),
    *("quantity", "traded_at"),
)
_FILL_COLUMNS = (
    *("account_id", "trade_id", "instrument_id", "order_id", "side", "is_maker", "price"),
    *("quantity", "fee", "traded_at"),
)
_BEST = """
SELECT id, price FROM orders WHERE instrument_id = $1 AND side = $2 AND status = 'open'
    AND price {limit} $3 ORDER BY price {way}, id LIMIT 1 FOR UPDATE
"""
_BESTS = {
    Side.BUY: _BEST.format(limit="<=", way="ASC"),
    Side.SELL: _BEST.format(limit=">=", way="DESC"),
}
_OPPOSITE = {Side.BUY: "sell", Side.SELL: "buy"}


def _orders(count: int) -> list[NewOrder]:
    random, sides = Random(20261121), tuple(Side)
    return [
        NewOrder(
            random.randint(1, TRADERS),
            random.randint(1, CARDS),
            sides[random.randrange(2)],
            random.randint(*PRICE_TICKS),
        )
        for _ in range(count)
    ]


def _deposits() -> list[Command]:
    """Return enough money for every trader to buy and sell all day."""
    return [
        MoveFunds(trader, asset, amount * ATOMS_PER_UNIT, asset)
        for trader in range(1, TRADERS + 1)
        for asset, amount in (("BTC", 1_000), ("USDT", 1_000_000))
    ]


def _funded_orders(count: int, pair: int) -> list[NewOrder]:
    # The cards' prices, as dollars, and one 1,000th of a coin.
    return [
        order._replace(instrument_id=pair, price=(order.price or 0) * 100, quantity=100)
        for order in _orders(count)
    ]


def _driver_url(url: str) -> str:
    return url.replace("postgresql+asyncpg", "postgresql")


async def _empty(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("ALTER TABLE venue_journal DISABLE TRIGGER USER")
    await connection.execute("ALTER TABLE ledger_lines DISABLE TRIGGER ledger_lines_only_grow")
    await connection.execute(
        "ALTER TABLE ledger_movements DISABLE TRIGGER ledger_movements_only_grow"
    )
    await connection.execute(
        "TRUNCATE orders, trades, venue_journal, venue_epochs, venue_snapshots, fills,"
        " venue_transfers, ledger_lines, ledger_movements"
    )
    await connection.execute("DELETE FROM ledger_accounts WHERE asset <> 'USD'")
    await connection.close()


async def _copied(url: str, shard: int, commands: Sequence[Command]) -> float:
    """Return how long it takes to copy all rows that come of these commands."""
    connection = await asyncpg.connect(url)
    market = Replay(await instruments(connection, shard), shard)
    rows = await _rows(connection, market, commands)
    # Rows only: balances are not added up from them.
    await connection.execute("ALTER TABLE ledger_lines DISABLE TRIGGER ledger_lines_are_booked")
    started = time.perf_counter()
    async with connection.transaction():
        for table, columns, records in rows:
            await connection.copy_records_to_table(
                table, records=records, columns=columns, timeout=None
            )
    seconds = time.perf_counter() - started
    await connection.execute(
        "ALTER TABLE ledger_lines ENABLE ALWAYS TRIGGER ledger_lines_are_booked"
    )
    await connection.close()
    return seconds


async def _rows(
    connection: Any, market: Replay, commands: Sequence[Command]
) -> list[tuple[str, tuple[str, ...], list[tuple[Any, ...]]]]:
    batch, at = market.add(commands), datetime.now(UTC)
    orders = [(*row, at, at) for row in market.stands.rows()]
    trades = [(*row, at) for row in batch.trades]
    rows = [("orders", _ORDER_COLUMNS, orders), ("trades", _TRADE_COLUMNS, trades)]
    if batch.lines:
        wallets = WalletIds()
        await wallets.open(connection, wallets.missing(batch.lines), at)
        fills = [(*row[:-1], _amount(row.fee), at) for row in batch.fills]
        moved = dict.fromkeys(line.number for line in batch.lines)
        movements = [(MOVEMENTS_FROM + number, "order", number, at) for number in moved]
        lines = [
            (MOVEMENTS_FROM + line.number, wallets.ids[wallet_of(line)], _amount(line.amount))
            for line in batch.lines
        ]
        rows += [
            ("fills", _FILL_COLUMNS, fills),
            ("ledger_movements", ("id", "kind", "reference_id", "at"), movements),
            ("ledger_lines", ("movement_id", "account_id", "amount"), lines),
        ]
    return rows


def _amount(atoms: int) -> Decimal:
    return Decimal(atoms).scaleb(-12)


async def _one_by_one(url: str, orders: Sequence[NewOrder]) -> float:
    setup = await asyncpg.connect(url)
    await setup.execute(
        "CREATE INDEX waiting ON orders (instrument_id, side, price, id) WHERE status = 'open'"
    )
    rest = iter(enumerate(orders, 1))

    async def client() -> None:
        connection: Any = await asyncpg.connect(url)
        for number, order in rest:
            await _place_alone(connection, number, order)
        await connection.close()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(_ONE_BY_ONE_CLIENTS)))
    seconds = time.perf_counter() - started
    await setup.execute("DROP INDEX waiting")
    await setup.close()
    return seconds


async def _place_alone(connection: Any, number: int, order: NewOrder) -> None:
    account, card, side, price, quantity, *_ = order
    async with connection.transaction():
        # First come, first served: orders of one card wait for each other.
        await connection.execute("SELECT pg_advisory_xact_lock($1)", card)
        best = await connection.fetchrow(_BESTS[side], card, _OPPOSITE[side], price)
        await connection.execute(
            "INSERT INTO orders VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, now(), now())",
            *(number, account, card, side, price, quantity),
            *((1, "filled") if best else (0, "open")),
        )
        if best:
            await connection.execute(
                "UPDATE orders SET status = 'filled', executed_quantity = 1 WHERE id = $1",
                best["id"],
            )
            await connection.execute(
                "INSERT INTO trades VALUES ($1, $2, $3, $4, $5, $6, 1, now())",
                *(card, number, best["id"], number, side, best["price"]),
            )


async def _restarted(database: Database, shard: int) -> tuple[float, float]:
    """Return how long a start takes, and how much of it is this process at work."""
    ledger = VenueLedger(database, shard)
    # As in a process that has just begun: what this one holds is nothing for its collector.
    gc.collect()
    gc.freeze()
    started, worked = time.perf_counter(), time.process_time()
    assert await ledger.take_lead(utc_now())
    await ledger.load()
    seconds = time.perf_counter() - started, time.process_time() - worked
    gc.unfreeze()
    ledger.close()
    return seconds


async def _killed_and_restarted(url: str, database: Database, shard: int) -> tuple[float, float]:
    more = _orders(SNAPSHOT_COMMANDS_MAX - 1)
    await send(database, shard, more, _CLIENTS, lambda _: None)
    connection = await asyncpg.connect(url)
    # What it took when it was stopped, a killed one would not have.
    await connection.execute(
        "DELETE FROM venue_snapshots WHERE shard = $1"
        " AND sequence = (SELECT max(sequence) FROM venue_journal WHERE shard = $1)",
        shard,
    )
    await connection.close()
    return await _restarted(database, shard)


async def _measure(url: str, database: Database, count: int) -> None:
    orders = _orders(count)
    await _empty(url)
    copy_seconds = await _copied(url, CARD_SHARD, orders)
    await _empty(url)
    sent = await send(database, CARD_SHARD, orders, _CLIENTS, lambda _: None)
    seconds = sent.ended_at - sent.began_at
    stopped_seconds = await _restarted(database, CARD_SHARD)
    found = await replay(database, CARD_SHARD)
    assert found.difference is None, found.difference
    killed_seconds = await _killed_and_restarted(url, database, CARD_SHARD)
    await _empty(url)
    few = list(islice(orders, _ONE_BY_ONE_ORDERS))
    alone_per_second = len(few) / await _one_by_one(url, few)
    cuts = quantiles(sent.waits_ms, n=100)
    print(f"{count:,} orders, {found.trades:,} trades, {found.batches} batches, {_CLIENTS} waiting")
    print(f"  copy        {count / copy_seconds:>10,.0f}/s")
    print(
        f"  engine      {count / seconds:>10,.0f}/s  p50 {cuts[49]:.0f} ms  p99 {cuts[98]:.0f} ms"
        f"  {judged(seconds / copy_seconds, _COPY_GOAL, at_least=False)}"
    )
    ratio = judged(count / seconds / alone_per_second, _ONE_BY_ONE_GOAL)
    print(f"  one by one  {alone_per_second:>10,.0f}/s  engine to it {ratio}")
    for what, (took, work) in (("restart", stopped_seconds), ("  killed", killed_seconds)):
        goal = judged(took, _RESTART_SECONDS_GOAL, at_least=False).replace("x", " s")
        print(f"  {what:<12}{goal}  {work:.2f} s at work", flush=True)


async def _measure_funded(url: str, database: Database, count: int) -> None:
    connection = await asyncpg.connect(url)
    pair = await connection.fetchval("SELECT id FROM instruments WHERE symbol = 'BTC/USDT'")
    await connection.close()
    deposits, orders = _deposits(), _funded_orders(count, pair)
    await _empty(url)
    copy_seconds = await _copied(url, SPOT_SHARD, [*deposits, *orders])
    await _empty(url)
    sent = await send(database, SPOT_SHARD, orders, _CLIENTS, lambda _: None, first=deposits)
    seconds = sent.ended_at - sent.began_at
    found = await replay(database, SPOT_SHARD)
    assert found.difference is None, found.difference
    cuts = quantiles(sent.waits_ms, n=100)
    print(f"{count:,} funded orders, {found.trades:,} trades, {found.batches} batches")
    print(f"  copy        {count / copy_seconds:>10,.0f}/s")
    print(
        f"  engine      {count / seconds:>10,.0f}/s  p50 {cuts[49]:.0f} ms  p99 {cuts[98]:.0f} ms"
        f"  {judged(seconds / copy_seconds, _FUNDED_GOAL, at_least=False)}",
        flush=True,
    )


async def _main(url: str, count: int) -> None:
    configure_logging(ServerSettings(log_level="WARNING", _env_file=None))
    await asyncio.to_thread(migrate, url)
    database = Database(url, DatabaseSettings(_env_file=None))
    for size in (count // 10, count):
        await _measure(_driver_url(url), database, size)
        await _measure_funded(_driver_url(url), database, size)
    await database.close()


if __name__ == "__main__":
    with postgres() as address, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(address, int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
