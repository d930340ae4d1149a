"""`strongroom venue bench`: a file of card orders through engines on a PostgreSQL of its own."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from uvicorn.loops.auto import auto_loop_factory

from backend.app.clock import utc_now
from backend.app.commands.progress import passing_progress
from backend.app.commands.venue_file import CARDS, read_orders
from backend.app.config import DatabaseSettings, ServerSettings
from backend.app.database import Database
from backend.app.embedded.supervisor import EmbeddedPostgres
from backend.app.logs import configure_logging
from backend.app.migrations import migrate
from backend.app.repositories.venue_ledger import VenueLedger
from backend.app.repositories.venue_reading import first_number
from backend.app.services.venue.engine import VenueEngine
from backend.app.services.venue.replay import replay
from backend.app.services.venue.waiting_room import BATCH_ORDERS_MAX
from backend.app.venue.commands import Command, NewOrder

SHARDS: Final = (0, 2)
"""Of one process, and of the second. Shard 1 is the spot market's."""
_LEAD_SECONDS_MAX: Final = 60.0
_PROGRESS_SECONDS: Final = 0.5
_HUNDRED: Final = 100


class Part(NamedTuple):
    """The orders of one shard: which cards, and where in the file each order is."""

    shard: int
    cards: Sequence[int]
    positions: Sequence[int]


class Sent(NamedTuple):
    """When a part began and ended, by the machine's clock, and how long each answer took."""

    began_at: float
    ended_at: float
    waits_ms: Sequence[float]


async def bench(file: Path, clients: int, processes: int) -> int:
    """Print how fast the orders were committed and answered, and what came out."""
    configure_logging(ServerSettings(log_level="WARNING", _env_file=None))
    orders = read_orders(file)
    parts = _parts(orders, processes)
    async with _own_postgres() as url:
        database = Database(url, DatabaseSettings(_env_file=None))
        try:
            if processes == 1:
                sent = [await _sent_here(database, orders, clients)]
            else:
                sent = await _sent_apart(database, url, file, parts, clients // processes)
            found = [await replay(database, part.shard) for part in parts]
            result = await result_digest(database, parts)
        finally:
            await database.close()
    _say_speed(sent, clients)
    placed, trades, open_orders, batches = (
        sum(column) for column in zip(*(each[1:4] + each[:1] for each in found), strict=True)
    )
    _say(f"{placed} orders, {trades} trades, {open_orders} open, {batches} batches")
    if processes == 1:
        _say(f"digest {found[0].digest}")
    _say(f"result {result}")
    return 1 if any(each.difference for each in found) else 0


async def send(
    database: Database,
    shard: int,
    orders: Sequence[NewOrder],
    clients: int,
    told: Callable[[int], None],
    *,
    first: Sequence[Command] = (),
) -> Sent:
    """Send orders one at a time by each of many clients.

    They arrive in the order in which they are given, whatever their number. What is to be done
    `first` is not measured.
    """
    engine = VenueEngine(VenueLedger(database, shard), utc_now)
    leading = asyncio.create_task(engine.tick())
    async with asyncio.timeout(_LEAD_SECONDS_MAX):
        await engine.led()
    for start in range(0, len(first), BATCH_ORDERS_MAX):
        await engine.carry_out(first[start : start + BATCH_ORDERS_MAX])
    rest, waits_ms = iter(orders), []

    async def client() -> None:
        for order in rest:
            sent_at = time.perf_counter()
            await engine.place(order)
            waits_ms.append((time.perf_counter() - sent_at) * 1000)
            if not len(waits_ms) % clients:
                told(clients)

    began_at = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    ended_at = time.perf_counter()
    await engine.stop()
    await leading
    return Sent(began_at, ended_at, waits_ms)


async def result_digest(database: Database, parts: Iterable[Part]) -> str:
    """Return one number for all trades; how the orders were spread over shards is not in it.

    SHA-256 over a line for each trade, card by card: `card maker taker price`, where maker and
    taker are the places of their orders in the file.
    """
    said = hashlib.sha256()
    cards = sorted((card, part) for part in parts for card in part.cards)
    connection = await database.own_connection()
    try:
        for card, (shard, _, positions) in cards:
            first = first_number(shard)
            rows = await connection.fetch(
                "SELECT maker_order_id, taker_order_id, price FROM trades"
                " WHERE instrument_id = $1 ORDER BY id",
                card,
            )
            for maker, taker, price in rows:
                places = f"{positions[maker - first]} {positions[taker - first]}"
                said.update(f"{card} {places} {price}\n".encode())
    finally:
        await connection.close()
    return said.hexdigest()


def _parts(orders: Sequence[NewOrder], processes: int) -> list[Part]:
    cards = range(1, CARDS + 1)
    spread = [
        list(cards)[CARDS * n // processes : CARDS * (n + 1) // processes] for n in range(processes)
    ]
    return [
        Part(shard, mine, [at for at, each in enumerate(orders) if each.instrument_id in mine])
        for shard, mine in zip(SHARDS, spread, strict=False)
    ]


async def _sent_here(database: Database, orders: Sequence[NewOrder], clients: int) -> Sent:
    with passing_progress() as bar:
        task = bar.add_task("orders", total=len(orders))
        return await send(
            database, SHARDS[0], orders, clients, lambda done: bar.advance(task, done)
        )


async def _sent_apart(
    database: Database, url: str, file: Path, parts: Sequence[Part], clients: int
) -> list[Sent]:
    """Let each part be sent by a process of its own, with its own engine."""
    connection = await database.own_connection()
    loop = asyncio.get_running_loop()
    try:
        for shard, cards, _ in parts:
            await connection.execute(
                "UPDATE instruments SET shard = $1 WHERE id = ANY($2)", shard, list(cards)
            )
        with (
            passing_progress() as bar,
            ProcessPoolExecutor(len(parts), mp_context=get_context("spawn")) as pool,
        ):
            task = bar.add_task("orders", total=sum(len(part.positions) for part in parts))
            sending = asyncio.gather(
                *(
                    loop.run_in_executor(
                        pool, _send_part, url, file, part.shard, tuple(part.cards), clients
                    )
                    for part in parts
                )
            )
            while not sending.done():
                with suppress(TimeoutError):
                    async with asyncio.timeout(_PROGRESS_SECONDS):
                        await asyncio.shield(sending)
                stored = await connection.fetchval("SELECT count(*) FROM orders")
                bar.update(task, completed=stored)
            return list(sending.result())
    finally:
        await connection.close()


def _send_part(url: str, file: Path, shard: int, cards: tuple[int, ...], clients: int) -> Sent:
    configure_logging(ServerSettings(log_level="WARNING", _env_file=None))
    mine = [order for order in read_orders(file) if order.instrument_id in cards]

    async def sent() -> Sent:
        database = Database(url, DatabaseSettings(_env_file=None))
        try:
            return await send(database, shard, mine, clients, lambda _: None)
        finally:
            await database.close()

    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        return runner.run(sent())


@asynccontextmanager
async def _own_postgres() -> AsyncIterator[str]:
    with TemporaryDirectory(prefix="strongroom-venue-") as directory:
        server = EmbeddedPostgres(Path(directory) / "postgres")
        try:
            # Broken off in the middle, it would still be writing what is about to be removed.
            url = await server.start()
            await asyncio.to_thread(migrate, url)
            yield url
        finally:
            await server.stop()


def _say_speed(sent: Sequence[Sent], clients: int) -> None:
    waits_ms = [each for part in sent for each in part.waits_ms]
    seconds = max(each.ended_at for each in sent) - min(each.began_at for each in sent)
    cuts = quantiles(waits_ms, n=_HUNDRED) if len(waits_ms) > 1 else waits_ms * _HUNDRED
    _say(
        f"{len(waits_ms) / seconds:,.0f} orders/s, {len(waits_ms)} orders in {seconds:.2f} s,"
        f" {clients} clients waiting, {len(sent)} processes"
    )
    _say(f"acknowledged after {cuts[49]:.1f} ms (p50), {cuts[98]:.1f} ms (p99)")


def _say(text: str) -> None:
    print(text)  # noqa: T201 - the verb's result
