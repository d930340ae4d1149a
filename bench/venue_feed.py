"""Funded orders of many users at full speed, with the feed beside the engine and without it.

python -m bench.venue_feed [ORDERS]

Both in one process and one event loop, as they run in the house. `then` is how long it takes after
the last order until everything is told.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from random import Random

import uvloop
from sqlalchemy import text

from backend.app.clock import utc_now
from backend.app.config import DatabaseSettings, ServerSettings
from backend.app.database import Database
from backend.app.logs import configure_logging
from backend.app.migrations import migrate
from backend.app.repositories.venue_ledger import VenueLedger
from backend.app.services.venue.engine import VenueEngine
from backend.app.services.venue.spot_markets import SPOT_SHARD
from backend.app.services.venue.venue_feed import VenueFeed
from backend.app.venue.commands import Command, MoveFunds, NewOrder
from backend.app.venue.instruments import ATOMS_PER_UNIT
from backend.app.venue.orders import Side
from backend.app.workers.runner import WorkerRunner
from backend.app.workers.venue_feeder import VenueFeeder
from backend.tests.support.venue_feed import feed_on
from bench._support import judged, postgres

_USERS = 1_000
_CLIENTS = 1_000
_ROUNDS = 3
_GOAL = 0.9
_ENTER = text("""
INSERT INTO users (username, email, hashed_password, role, is_active, auth_version, created_at,
    updated_at)
SELECT 'user' || n, 'user' || n || '@example.com', 'x', 'user', true, 1, now(), now()
FROM generate_series(1, :users) AS n
""")
_TOLD = text(
    "SELECT (SELECT count(*) FROM ticks), (SELECT count(*) FROM channel_messages),"
    " (SELECT count(*) FROM notification_events)"
)


def _orders(count: int, pair: int, seed: int) -> Iterator[NewOrder]:
    random, sides = Random(seed), tuple(Side)
    for _ in range(count):
        price, lots = random.randint(6_000_000, 6_010_000), random.randint(10, 1_000)
        yield NewOrder(random.randint(1, _USERS), pair, sides[random.randrange(2)], price, lots)


async def _send(engine: VenueEngine, orders: Iterator[NewOrder]) -> float:
    async def client() -> None:
        for order in orders:
            await engine.place(order)

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(_CLIENTS)))
    return time.perf_counter() - started


async def _told(feed: VenueFeed) -> float:
    started = time.perf_counter()
    while await feed.step():
        pass
    return time.perf_counter() - started


async def _measured(url: str, count: int) -> None:
    database = Database(url, DatabaseSettings(_env_file=None))
    engine = VenueEngine(VenueLedger(database, SPOT_SHARD), utc_now)
    leading = asyncio.create_task(engine.tick())
    await engine.led()
    async with database.transaction() as session:
        await session.execute(_ENTER, {"users": _USERS})
        pair = await session.scalar(text("SELECT id FROM instruments WHERE symbol = 'BTC/USDT'"))
    funds: list[Command] = [
        MoveFunds(user, asset, 10**6 * ATOMS_PER_UNIT, asset)
        for user in range(1, _USERS + 1)
        for asset in ("BTC", "USDT")
    ]
    await engine.carry_out(funds)
    feed = feed_on(database, engine)
    rates: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(2 * _ROUNDS):
        is_told = bool(turn % 2)
        await _told(feed)
        workers = WorkerRunner((VenueFeeder(engine, feed),) if is_told else ())
        workers.start()
        seconds = await _send(engine, _orders(count, int(pair or 0), turn))
        await workers.stop()
        rates[is_told].append(count / seconds)
        if is_told:
            print(
                f"with the feed: {count / seconds:>8,.0f} orders/s, then {await _told(feed):.1f} s"
            )
        else:
            print(f"without:       {count / seconds:>8,.0f} orders/s")
    async with database.snapshot() as session:
        ticks, messages, notified = (await session.execute(_TOLD)).one()
    print(f"{ticks:,} trades in candles, {messages:,} messages, {notified:,} notifications")
    print(judged(max(rates[True]) / max(rates[False]), _GOAL), "of the speed without it")
    await engine.stop()
    await leading
    await database.close()


def main() -> None:
    configure_logging(ServerSettings(log_level="WARNING", _env_file=None))
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    with postgres() as url:
        migrate(url)
        uvloop.run(_measured(url, count))


if __name__ == "__main__":
    main()
