"""A process killed while it trades and tells: all it committed is told in the end, once."""

import asyncio
import signal
import sys
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import text

from backend.app.database import Database
from backend.app.services.venue.replay import replay
from backend.app.services.venue.spot_markets import SPOT_SHARD
from backend.tests.support.venue import engine_on, led, running
from backend.tests.support.venue_feed import feed_on
from backend.tests.support.webhooks import rows

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
USERS = 8
KILLS = 8
ORDERS_MAX = 60
# A start alone takes ten on a busy machine.
SECONDS_MAX = 300
CHILD = """
import asyncio, os
from random import Random
from backend.app.config import DatabaseSettings
from backend.app.database import Database
from backend.app.venue.commands import MoveFunds, NewOrder
from backend.app.venue.orders import Side
from backend.tests.support.venue import engine_on, led, running
from backend.tests.support.venue_feed import feed_on

async def main():
    database = Database(os.environ["URL"], DatabaseSettings(_env_file=None))
    engine, random = engine_on(database, 1), Random(os.environ["SEED"])
    pair, users = int(os.environ["PAIR"]), range(1, int(os.environ["USERS"]) + 1)
    feed = feed_on(database, engine)

    async def client(account):
        while True:
            side, price = random.choice(tuple(Side)), random.randint(6_000_000, 6_000_010)
            await engine.place(NewOrder(account, pair, side, price, random.randint(10, 30)))
            os.write(1, b"placed\\n")

    async def tell():
        while True:
            await feed.step()
            os.write(1, b"told\\n")

    async with running(engine):
        await led(engine)
        for account in users:
            for asset in ("BTC", "USDT"):
                await engine.carry_out([MoveFunds(account, asset, 10**18, asset)])
        await asyncio.gather(tell(), *map(client, users))

asyncio.run(main())
"""


async def killed_while_it_tells(database_url: str, pair: int, seed: int) -> None:
    """Run a venue with its feed, and kill it after some orders, wherever it is by then."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CHILD),
        env={
            "URL": database_url,
            "PAIR": str(pair),
            "SEED": str(seed),
            "USERS": str(USERS),
            "PYTHONPATH": str(ROOT),
        },
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    random, placed, has_told = Random(seed), 0, False
    enough = random.randint(1, ORDERS_MAX)
    async with asyncio.timeout(SECONDS_MAX):
        while placed < enough or not has_told:
            line = await child.stdout.readline()
            assert line, "it ended by itself"
            placed += line == b"placed\n"
            has_told |= line == b"told\n"
        await asyncio.sleep(random.random() / 20)
    child.send_signal(signal.SIGKILL)
    await child.wait()


async def test_killed_again_and_again_everything_is_told_once(
    database: Database, database_url: str
) -> None:
    async with database.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO users (username, email, hashed_password, role, is_active,"
                " auth_version, created_at, updated_at) SELECT 'user' || n, 'user' || n ||"
                " '@example.com', 'x', 'user', true, 1, now(), now()"
                " FROM generate_series(1, :users) AS n"
            ),
            {"users": USERS},
        )
        pair = await session.scalar(text("SELECT id FROM instruments WHERE symbol = 'BTC/USDT'"))
    assert pair is not None
    for seed in range(KILLS):
        await killed_while_it_tells(database_url, pair, seed)

    async with running(engine_on(database, SPOT_SHARD)) as engine:
        await led(engine)
        feed = feed_on(database, engine)
        while await feed.step():
            pass

    [counted] = await rows(
        database,
        """
        SELECT (SELECT count(*) FROM trades) AS trades,
            (SELECT count(*) FROM ticks) AS ticks,
            (SELECT sum(trades) FROM candles WHERE "interval" = '1m') AS in_candles,
            (SELECT count(*) FROM orders WHERE status = 'filled') AS filled,
            (SELECT sum(coalesce((facts ->> 'orders')::int, 1)) FROM notification_events)
                AS notified
        """,
    )
    assert counted.trades > 0
    assert counted.trades == counted.ticks == counted.in_candles
    assert counted.filled == counted.notified
    # Every message, made anew: nothing left out, nothing told twice, nothing that was not so.
    assert (await replay(database, SPOT_SHARD)).difference is None
