"""Engines of their own, killed one after the other: the next leads, and no order is lost or double.

Real processes of `strongroom serve --role engine`, on a real PostgreSQL and a real Valkey.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from pydantic import SecretStr

from backend.app.config import CacheSettings, Settings, VenueSettings
from backend.app.container import Container
from backend.app.database import Database
from backend.app.errors import Unavailable
from backend.app.services.card_service import CARD_SHARD
from backend.app.services.venue.desk import Known, VenueDesk
from backend.app.services.venue.replay import replay
from backend.app.venue.commands import NewOrder
from backend.app.venue.orders import Side
from backend.tests.support.databases import server_connection
from backend.tests.support.valkey import Valkey

pytestmark = pytest.mark.slow

STRONGROOM = Path(sys.executable).with_name("strongroom")
KILLS = 3
CLIENTS = 24
ORDERS_BEFORE_A_KILL = 200
# On two cores that others keep busy, a start alone takes ten.
START_SECONDS_MAX = 120.0
# Seconds, on a machine that has time; without a takeover, for ever.
SECONDS_MAX = 180.0
PAUSE_SECONDS = 0.02
"""Between two orders of a client, so that who is to take over gets a processor."""


class Engine:
    """A process that leads the venue or stands by, until it is killed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, url: str, settings: Settings, home: Path) -> "Engine":
        """Start one and wait until it says that it is ready."""
        redis_url, jwt_secret = settings.cache.redis_url, settings.auth.jwt_secret
        assert redis_url is not None
        assert jwt_secret is not None
        process = await asyncio.create_subprocess_exec(
            *(STRONGROOM, "serve", "--role", "engine"),
            cwd=home,
            env={
                "PATH": os.environ["PATH"],
                "DATABASE_URL": url,
                "REDIS_URL": redis_url.get_secret_value(),
                "JWT_SECRET": jwt_secret.get_secret_value(),
                "ENGINE_PORT": "0",
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        engine = cls(process)
        try:
            await engine._begin_to_serve()
        except BaseException:
            await engine.kill()
            raise
        return engine

    async def _begin_to_serve(self) -> None:
        assert self._process.stdout is not None
        async with asyncio.timeout(START_SECONDS_MAX):
            said = (await self._process.stdout.readuntil(b"Ctrl-C")).decode()
        address = next(word for word in said.split() if word.startswith("http://"))
        async with httpx2.AsyncClient(timeout=START_SECONDS_MAX) as client:
            assert (await client.get(f"{address}/readyz")).status_code == 200

    async def kill(self) -> None:
        """End it as a power cut would."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.communicate()

    async def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(SECONDS_MAX):
            await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode


class Crowd:
    """Clients who place orders without end. An order that is not answered is asked for again."""

    def __init__(self, desk: VenueDesk) -> None:
        self._desk = desk
        self.answered: dict[str, int] = {}
        self._is_going = True
        self._placing = asyncio.gather(*(self._client(number) for number in range(CLIENTS)))

    async def stop(self) -> None:
        """Let every client finish the order it is at."""
        self._is_going = False
        async with asyncio.timeout(SECONDS_MAX):
            await self._placing

    async def more(self, by: int) -> None:
        """Wait until so many more were answered."""
        enough = len(self.answered) + by
        async with asyncio.timeout(SECONDS_MAX):
            while len(self.answered) < enough and not self._placing.done():
                await asyncio.sleep(0.01)
        if self._placing.done():
            await self._placing

    async def _client(self, number: int) -> None:
        side, placed = (Side.BUY if number % 2 else Side.SELL), 0
        while self._is_going:
            placed += 1
            name = f"client{number}-{placed}"
            order = NewOrder(1 + number, 1 + placed % 4, side, 250, 1, name)
            self.answered[name] = (await self._asked(order)).id
            await asyncio.sleep(PAUSE_SECONDS)

    async def _asked(self, order: NewOrder) -> Known:
        while True:
            try:
                [answer] = await self._desk.carry_out([order])
            except Unavailable:
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                assert isinstance(answer, Known)
                return answer


@asynccontextmanager
async def api(url: str, settings: Settings) -> AsyncIterator[Container]:
    container = Container(settings, url)
    await container.start()
    try:
        yield container
    finally:
        await container.stop()


async def test_killed_leaders_lose_no_order_and_the_next_leads_by_itself(
    settings: Settings, database_url: str, database: Database, valkey: Valkey, tmp_path: Path
) -> None:
    settings = replace(
        settings,
        cache=CacheSettings(redis_url=SecretStr(valkey.url)),
        venue=VenueSettings(venue_engine_in_api=False),
    )
    leader = await Engine.start(database_url, settings, tmp_path)
    standby = await Engine.start(database_url, settings, tmp_path)
    try:
        async with api(database_url, settings) as services:
            crowd = Crowd(services.venue.desk(CARD_SHARD))
            for _ in range(KILLS):
                await crowd.more(ORDERS_BEFORE_A_KILL)
                await leader.kill()
                # What died unanswered is asked of the next, which nobody has told to lead.
                await crowd.more(CLIENTS + 1)
                leader, standby = standby, await Engine.start(database_url, settings, tmp_path)
            await crowd.stop()
        codes = [await leader.stop(), await standby.stop()]
    finally:
        await leader.kill()
        await standby.kill()

    async with server_connection(database_url) as connection:
        rows = await connection.fetch("SELECT id, client_order_id FROM orders")
    assert {row["client_order_id"]: row["id"] for row in rows} == crowd.answered
    assert len(rows) == len(crowd.answered)
    assert (await replay(database, CARD_SHARD)).difference is None
    assert codes == [0, 0]
