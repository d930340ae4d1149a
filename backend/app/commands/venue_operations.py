"""What `strongroom venue` does."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Final

from backend.app.clock import utc_now
from backend.app.commands.key_operations import command_settings
from backend.app.commands.progress import passing_progress
from backend.app.commands.venue_file import made_lines, read_orders
from backend.app.config import DatabaseSettings, ServerSettings, home_directory
from backend.app.database import Database
from backend.app.embedded.supervisor import EmbeddedPostgres
from backend.app.errors import ConfigurationError
from backend.app.launch import reachable_database
from backend.app.logs import configure_logging
from backend.app.migrations import migrate
from backend.app.repositories.venue_ledger import VenueLedger
from backend.app.services.card_service import CARD_SHARD
from backend.app.services.venue.engine import BATCH_ORDERS_MAX, VenueEngine
from backend.app.services.venue.replay import Replayed
from backend.app.services.venue.replay import replay as replay_shard
from backend.app.venue.commands import Command, NewOrder

_LEAD_SECONDS_MAX: Final = 60.0
_HUNDRED: Final = 100


async def replay(*, verify: bool) -> int:
    """Print what the journal says; 1 if the tables are to be compared and differ."""
    home = home_directory()
    settings = command_settings(home)
    async with reachable_database(settings, home) as url:
        database = Database(url, settings.database)
        try:
            with passing_progress() as bar:
                task = bar.add_task("orders", total=None)
                found = await replay_shard(
                    database, CARD_SHARD, lambda orders: bar.advance(task, orders)
                )
        finally:
            await database.close()
    _say(_told(found))
    if not verify:
        return 0
    _say(f"DIFFERENT: {found.difference}" if found.difference else "The tables say the same.")
    return 1 if found.difference else 0


async def generate(orders: int, seed: int, out: Path) -> int:
    """Write the file."""
    try:
        with out.open("w", encoding="ascii") as file, passing_progress() as bar:
            for lines in bar.track(made_lines(orders, seed), description="10,000 orders"):
                file.write(lines)
    except OSError as error:
        raise ConfigurationError(f"{out} cannot be written: {error.strerror}") from None
    _say(f"{orders} orders in {out}")
    return 0


async def bench(file: Path, clients: int) -> int:
    """Print how fast the orders were committed and answered, and what came out."""
    configure_logging(ServerSettings(log_level="WARNING", _env_file=None))
    orders = read_orders(file)
    with TemporaryDirectory(prefix="strongroom-venue-") as directory:
        server = EmbeddedPostgres(Path(directory) / "postgres")
        url = await server.start()
        try:
            await asyncio.to_thread(migrate, url)
            database = Database(url, DatabaseSettings(_env_file=None))
            try:
                with passing_progress() as bar:
                    task = bar.add_task("orders", total=len(orders))
                    seconds, waits_ms = await send(
                        database,
                        CARD_SHARD,
                        orders,
                        clients,
                        lambda done: bar.advance(task, done),
                    )
                found = await replay_shard(database, CARD_SHARD)
            finally:
                await database.close()
        finally:
            await server.stop()
    cuts = quantiles(waits_ms, n=_HUNDRED) if len(waits_ms) > 1 else waits_ms * _HUNDRED
    _say(
        f"{len(orders) / seconds:,.0f} orders/s, {len(orders)} orders in {seconds:.2f} s,"
        f" {clients} clients waiting"
    )
    _say(f"acknowledged after {cuts[49]:.1f} ms (p50), {cuts[98]:.1f} ms (p99)")
    _say(_told(found))
    return 1 if found.difference else 0


async def send(
    database: Database,
    shard: int,
    orders: Sequence[NewOrder],
    clients: int,
    told: Callable[[int], None],
    *,
    first: Sequence[Command] = (),
) -> tuple[float, list[float]]:
    """Send orders one at a time by each of many clients; return the seconds, and each wait in ms.

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

    started_at = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    seconds = time.perf_counter() - started_at
    await engine.stop()
    await leading
    return seconds, waits_ms


def _told(found: Replayed) -> str:
    return (
        f"{found.orders} orders, {found.trades} trades, {found.open_orders} open,"
        f" {found.batches} batches\ndigest {found.digest}"
    )


def _say(text: str) -> None:
    print(text)  # noqa: T201 - the verb's result
