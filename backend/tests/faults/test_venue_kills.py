"""An engine killed under load: what was answered is there, nothing is there twice."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from backend.app.database import Database
from backend.app.services.venue.replay import replay
from backend.app.venue.commands import NewOrder
from backend.app.venue.orders import Side
from backend.tests.support.databases import server_connection
from backend.tests.support.venue import engine_on, led, running

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
CHILD = """
import asyncio, itertools, os
from backend.app.config import DatabaseSettings
from backend.app.database import Database
from backend.app.venue.commands import NewOrder
from backend.app.venue.orders import Side
from backend.tests.support.venue import engine_on, led, running

async def main():
    engine = engine_on(Database(os.environ["URL"], DatabaseSettings(_env_file=None)))
    numbers = itertools.count(1)

    async def client(account):
        while True:
            number = next(numbers)
            side = Side.BUY if number % 2 else Side.SELL
            name = f"{os.environ['NAME']}-{number}"
            placed = await engine.place(NewOrder(account, 1 + number // 2 % 4, side, 250, 1, name))
            os.write(1, f"{account} {name} {placed.id}\\n".encode())

    async with running(engine):
        await led(engine)
        await asyncio.gather(*(client(account) for account in range(1, 65)))

asyncio.run(main())
"""
KILLS = 4
ANSWERS_BEFORE_A_KILL = 300
# A start alone takes ten on a busy machine.
SECONDS_MAX = 300


async def killed_under_load(database_url: str, name: str, answers: int) -> list[str]:
    """Run an engine in a process of its own, kill it after some answers, and return all it gave."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CHILD),
        env={"URL": database_url, "NAME": name, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    said: list[bytes] = []
    async with asyncio.timeout(SECONDS_MAX):
        while len(said) < answers:
            line = await child.stdout.readline()
            assert line, "the engine ended by itself"
            said += [line] if is_answer(line) else []
        child.send_signal(signal.SIGKILL)
        rest = (await child.stdout.read()).splitlines(keepends=True)
        await child.wait()
    said += [line for line in rest if is_answer(line)]
    return [line.decode().strip() for line in said]


def is_answer(line: bytes) -> bool:
    """Tell an answer from a log, and from a line that was cut off: that was read by nobody."""
    return line.endswith(b"\n") and len(line.split()) == 3 and b"-" in line.split()[1]


async def test_what_a_killed_engine_answered_is_there_once_and_another_goes_on(
    database_url: str, database: Database
) -> None:
    answered: list[str] = []
    async with running(engine_on(database)) as standby:
        await led(standby)
        await standby.stop()
    for number in range(KILLS):
        answered += await killed_under_load(
            database_url, f"run{number}", ANSWERS_BEFORE_A_KILL + 37 * number
        )

    async with running(engine_on(database)) as successor:
        # By itself: the lock went with the connection of the killed.
        await led(successor)
        again = await successor.place(NewOrder(1, 1, Side.BUY, 250, 1, "after-the-kills"))
    async with server_connection(database_url) as connection:
        stored = {
            f"{row['account_id']} {row['client_order_id']} {row['id']}"
            for row in await connection.fetch("SELECT account_id, client_order_id, id FROM orders")
        }
        names = await connection.fetchval("SELECT count(DISTINCT client_order_id) FROM orders")
        rows = await connection.fetchval("SELECT count(*) FROM orders")

    assert len(answered) >= KILLS * ANSWERS_BEFORE_A_KILL
    assert set(answered) <= stored
    assert names == rows == again.id
    assert (await replay(database, 0)).difference is None


async def test_a_standby_takes_over_from_a_killed_leader_by_itself(
    database_url: str, database: Database
) -> None:
    async def until_led(standby_leads: asyncio.Event) -> None:
        async with running(engine_on(database)) as standby:
            await led(standby)
            standby_leads.set()
            await standby.place(NewOrder(1, 1, Side.BUY, 250, 1, "by-the-standby"))

    # The leader's own process comes first, so that the other has to stand by.
    leads = asyncio.Event()
    killing = asyncio.create_task(killed_under_load(database_url, "first", 200))
    async with server_connection(database_url) as connection:
        async with asyncio.timeout(SECONDS_MAX):
            while not await connection.fetchval("SELECT EXISTS (SELECT FROM orders)"):
                await asyncio.sleep(0.01)
    waiting = asyncio.create_task(until_led(leads))
    await killing
    async with asyncio.timeout(SECONDS_MAX):
        await leads.wait()
        await waiting

    found = await replay(database, 0)
    assert found.difference is None
    assert found.orders > 200
