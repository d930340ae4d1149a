"""The API killed again and again while merchants withdraw: each key counts once, and no more."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest
from httpx2 import AsyncClient, HTTPError

from backend.app.clock import utc_now
from backend.app.config import Settings
from backend.app.container import Container
from backend.app.enums import Role
from backend.tests.support.credit import assert_proved, available, fund, merchant
from backend.tests.support.fake_connector import FakeConnector
from backend.tests.support.people import Person, person
from backend.tests.support.ports import KeptPort

STRONGROOM = Path(sys.executable).with_name("strongroom")
MERCHANTS, EACH, KILLS = 10, 12, 5
SECONDS_MAX = 300


@dataclass
class Asking:
    """What merchants asked for, and what they were told."""

    people: list[Person]
    told: dict[tuple[int, str], bytes] = field(default_factory=dict)

    async def ask(self, client: AsyncClient, who: Person, key: str) -> None:
        """Ask once; an answer that says yes is the answer for good."""
        try:
            answer = await client.post(
                "/api/v1/withdrawals",
                json={"amount": "1.00"},
                headers={**who.headers, "Idempotency-Key": key},
            )
        except HTTPError:
            return
        if answer.status_code in {409, 503}:
            return
        assert answer.status_code == 201, answer.text
        assert self.told.setdefault((who.user_id, key), answer.content) == answer.content

    async def ask_all(self, client: AsyncClient, rounds: int) -> None:
        """Ask under every key of these rounds, also under those that were answered."""
        for n in range(rounds * EACH):
            await asyncio.gather(*(self.ask(client, who, f"k{n}") for who in self.people))


@asynccontextmanager
async def api(
    settings: Settings, database_url: str, home: Path
) -> AsyncIterator[tuple[asyncio.subprocess.Process, AsyncClient]]:
    """Serve the API in a process of its own, killed at the end if it still lives."""
    port = KeptPort()
    assert settings.vault.encryption_key is not None
    assert settings.auth.jwt_secret is not None
    process = await asyncio.create_subprocess_exec(
        STRONGROOM,
        *("serve", "--role", "api"),
        cwd=home,
        env={
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
            "DATABASE_URL": database_url,
            "ENCRYPTION_KEY": settings.vault.encryption_key.get_secret_value(),
            "JWT_SECRET": settings.auth.jwt_secret.get_secret_value(),
            "API_PORT": str(port.number),
            "RL_MAX_REQUESTS": "0",
            "STRONGROOM_HOME": str(home / "kept"),
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with AsyncClient(base_url=f"http://127.0.0.1:{port.number}", timeout=30) as client:
            await ready(client)
            yield process, client
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        port.let_go()


async def ready(client: AsyncClient) -> None:
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            try:
                if (await client.get("/readyz")).status_code == 200:
                    return
            except HTTPError:
                pass
            await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_every_key_counts_once_however_often_the_process_is_killed(
    settings: Settings, database_url: str, tmp_path: Path
) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    house = Container(settings, database_url, utc_now, FakeConnector())
    await house.start()
    root = await person(house, "root", Role.ADMIN)
    await fund(house, root, "10000.00")
    people = [await merchant(house, root, f"m{n}") for n in range(MERCHANTS)]
    asking = Asking(people)

    for round_ in range(1, KILLS + 1):
        async with api(settings, database_url, tmp_path) as (process, client):
            asked = asyncio.create_task(asking.ask_all(client, round_))
            await asyncio.sleep(chance.uniform(0.05, 0.5))
            process.send_signal(signal.SIGKILL)
            await process.wait()
            await asked
    async with api(settings, database_url, tmp_path) as (_, client):
        async with asyncio.timeout(SECONDS_MAX):
            while len(asking.told) < MERCHANTS * EACH * KILLS:
                await asking.ask_all(client, KILLS)

    drawn = MERCHANTS * EACH * KILLS
    assert await available(house, root) == Decimal(10_000 - drawn), f"seed {seed}"
    await assert_proved(house)
    await house.stop()
