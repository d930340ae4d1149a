"""`strongroom keys rewrap` killed again and again while the API opens secrets."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy import text

from backend.app.audit_record import SYSTEM
from backend.app.config import Settings, VaultSettings
from backend.app.container import Container
from backend.app.database import Database
from backend.app.main import AppRole, create_app
from backend.app.services.key_ring import KeyRing
from backend.app.services.key_verification import KeyVerification
from backend.tests.conftest import HandClock
from backend.tests.support.fake_connector import FakeConnector
from backend.tests.support.people import person
from backend.tests.support.vault_keys import (
    add_data_keys,
    count_writes,
    kids,
    new_key,
    now,
    opened,
    start,
    writes,
)

OLD, NEW = new_key("old"), new_key("new")
KEYS = f"{NEW},{OLD}"
DATA_KEYS = 6_000
CREDENTIALS = 8
KILLS = 6
STRONGROOM = Path(sys.executable).with_name("strongroom")
SECONDS_MAX = 300


@dataclass(frozen=True)
class Api:
    """A running API, and somebody signed in."""

    client: AsyncClient
    container: Container
    headers: dict[str, str]


@pytest.fixture
async def api(settings: Settings, database: Database, database_url: str) -> AsyncIterator[Api]:
    await start(database, OLD)
    vault = VaultSettings(_env_file=None, encryption_key=SecretStr(OLD))
    headers = await _bound(replace(settings, vault=vault), database_url)
    async with database.transaction() as session:
        await session.execute(text("DELETE FROM instance_keys"))
    vault = VaultSettings(_env_file=None, encryption_key=SecretStr(KEYS))
    container = Container(
        replace(settings, vault=vault), database_url, HandClock(), FakeConnector()
    )
    await container.start()
    transport = ASGITransport(app=create_app(AppRole.API, container))
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield Api(client, container, headers)
    await container.stop()


async def _bound(settings: Settings, database_url: str) -> dict[str, str]:
    container = Container(settings, database_url, HandClock(), FakeConnector())
    await container.start()
    alice = await person(container, "alice")
    app = create_app(AppRole.API, container)
    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://test") as client:
        for n in range(CREDENTIALS):
            pair = {"exchange_name": "binance", "api_key": f"key-{n}", "api_secret": f"s3cr3t-{n}"}
            body = {**pair, "verify": False}
            made = await client.post("/api/v1/credentials", json=body, headers=alice.headers)
            assert made.status_code == 201, made.text
    await container.stop()
    return alice.headers


class Reader:
    """Opens secrets over the API, one after the other, until it is told to stop."""

    def __init__(self, api: Api, database: Database) -> None:
        self._api, self._database = api, database
        self._enough = asyncio.Event()
        self.statuses: list[int] = []

    async def read(self) -> None:
        async with self._database.snapshot() as session:
            ids = (await session.scalars(text("SELECT id FROM api_credentials"))).all()
        while not self._enough.is_set():
            for credential_id in ids:
                # The cache would hide a data key that no longer opens.
                self._api.container._crypto._deks.clear()
                answer = await self._api.client.post(
                    f"/api/v1/credentials/{credential_id}/verify", headers=self._api.headers
                )
                self.statuses.append(answer.status_code)

    def stop(self) -> None:
        self._enough.set()


async def _done(database: Database) -> int:
    async with database.snapshot() as session:
        return await session.scalar(text("SELECT coalesce(sum(done), 0) FROM key_rewraps")) or 0


async def _rewrap(database_url: str, home: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        STRONGROOM,
        "keys",
        "rewrap",
        cwd=home,
        env={
            "PATH": os.environ["PATH"],
            "DATABASE_URL": database_url,
            "ENCRYPTION_KEY": KEYS,
            "STRONGROOM_HOME": str(home / "kept"),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def _killed(database: Database, database_url: str, home: Path, chance: random.Random) -> bool:
    """Kill a rewrap at some moment after it has begun to move keys, unless it is done by then."""
    async with database.transaction() as session:
        # As if the seconds had passed for which a killed run keeps others out.
        await session.execute(text("UPDATE key_rewraps SET lease_until = now()"))
    before = await _done(database)
    process = await _rewrap(database_url, home)
    async with asyncio.timeout(SECONDS_MAX):
        while process.returncode is None and await _done(database) == before:
            await asyncio.sleep(0.002)
    await asyncio.sleep(chance.uniform(0, 0.03))
    if process.returncode is None:
        process.send_signal(signal.SIGKILL)
    said, _ = await process.communicate()
    assert process.returncode in {0, -signal.SIGKILL}, said
    return process.returncode != 0


@pytest.mark.slow
async def test_a_rewrap_killed_at_any_moment_loses_nothing_and_stops_no_reader(
    api: Api, database: Database, database_url: str, tmp_path: Path
) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    deks = await add_data_keys(database, KeyRing.from_environment(OLD), DATA_KEYS)
    await count_writes(database)
    reader = Reader(api, database)
    reading = asyncio.create_task(reader.read())

    for _ in range(KILLS):
        while not await _killed(database, database_url, tmp_path, chance):
            # We were too slow for it; there is to be something to move whenever one is killed.
            deks |= await add_data_keys(database, KeyRing.from_environment(OLD), DATA_KEYS)
    async with database.transaction() as session:
        await session.execute(text("UPDATE key_rewraps SET lease_until = now()"))
    last = await _rewrap(database_url, tmp_path)
    said, _ = await asyncio.wait_for(last.communicate(), SECONDS_MAX)
    reader.stop()
    await reading

    assert last.returncode == 0, said
    total = len(deks) + CREDENTIALS + 1
    assert await kids(database) == ["new"], f"seed {seed}"
    assert await _done(database) == total, f"seed {seed}"
    assert await writes(database) == [1] * total, f"seed {seed}"
    only_new = KeyRing.from_environment(NEW)
    assert await opened(database, only_new, deks) == deks, f"seed {seed}"
    verified = await KeyVerification(database, only_new, now).run(SYSTEM, deep=True)
    assert (verified.data_keys, verified.fields, verified.unopened) == (total, CREDENTIALS, [])
    assert len(reader.statuses) > CREDENTIALS
    assert set(reader.statuses) == {200}
