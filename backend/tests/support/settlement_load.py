"""A house of several processes under load, killed here and there; and what is true after it."""

import asyncio
import os
import random
import secrets
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import httpx2
from pydantic import SecretStr
from sqlalchemy import text

from backend.app.clock import utc_now
from backend.app.config import AuthSettings, VaultSettings
from backend.app.container import Container
from backend.app.enums import Role
from backend.app.services.crypto_service import CryptoService
from backend.tests.support.credit import assert_proved, fund, merchant
from backend.tests.support.fake_connector import FakeConnector
from backend.tests.support.people import Person, person
from backend.tests.support.ports import KeptPort
from backend.tests.support.settings import settings_for_tests
from backend.tests.support.settlement_house import new_token

STRONGROOM: Final = Path(sys.executable).with_name("strongroom")
SETTLEMENT: Final = "settlement"
_KEPT: Final = {
    name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ
}
_START_SECONDS_MAX: Final = 300
_END_SECONDS_MAX: Final = 600
_ASK_SECONDS_MAX: Final = 20.0
_OPEN: Final = "state IN ('requested', 'settling', 'unknown')"


@dataclass
class Process:
    """A process that is started again whenever it was killed."""

    role: str
    port: int
    variables: dict[str, str]
    home: Path
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        name = "SETTLEMENT_PORT" if self.role == SETTLEMENT else "API_PORT"
        self.process = await asyncio.create_subprocess_exec(
            STRONGROOM,
            *("serve", "--role", self.role),
            cwd=self.home,
            env={**_KEPT, **self.variables, name: str(self.port)},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(_START_SECONDS_MAX), httpx2.AsyncClient() as client:
            while True:
                try:
                    if (await client.get(f"{self.url}/readyz")).status_code == 200:
                        return
                except httpx2.HTTPError:
                    pass
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()


@dataclass
class Load:
    """The processes, the merchants, and what they were told."""

    services: Container
    apis: list[Process]
    settlement: Process
    people: list[Person]
    dice: random.Random
    client: httpx2.AsyncClient
    told: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)

    async def misbehave(self, *rules: dict[str, Any]) -> None:
        """Put a fault deck in play; a process that is started again has none."""
        deck = {"seed": self.dice.randrange(1000), "rules": rules}
        answer = await self.client.post(f"{self.settlement.url}/control/faults", json=deck)
        assert answer.status_code == 200, answer.text

    async def withdraw(self, number: int) -> None:
        """Withdraw, asking again under the same key until there is an answer for good."""
        key = f"load-{number}"
        somebody = self.people[number % len(self.people)]
        while True:
            api = self.dice.choice(self.apis)
            try:
                answer = await self.client.post(
                    f"{api.url}/api/v1/withdrawals",
                    json={"amount": f"{1 + number % 7}.{number % 100:02d}"},
                    headers={**somebody.headers, "Idempotency-Key": key},
                )
            except httpx2.HTTPError:
                await asyncio.sleep(0.1)
                continue
            if answer.status_code in {201, 202, 422}:
                self.told.setdefault(key, []).append((answer.status_code, answer.content))
                return
            assert answer.status_code in {409, 503}, answer.text
            await asyncio.sleep(0.1)

    async def kill_one(self) -> None:
        """Kill a process at a random moment, and start it again."""
        await asyncio.sleep(self.dice.uniform(0.1, 1.0))
        victim = self.dice.choice([*self.apis, self.settlement])
        await victim.kill()
        await asyncio.sleep(self.dice.uniform(0.0, 0.5))
        await victim.start()

    async def come_to_an_end(self) -> None:
        """Wait until every withdrawal is decided. Claims of the dead lapse at once here."""
        async with asyncio.timeout(_END_SECONDS_MAX):
            while await self._open():
                async with self.services.database.transaction() as session:
                    # As if a minute had passed.
                    await session.execute(
                        text(
                            "UPDATE withdrawals SET next_try_at = now(), tries = greatest(tries, 1)"
                            f" WHERE {_OPEN}"
                        )
                    )
                await asyncio.sleep(3)

    async def _open(self) -> int:
        async with self.services.database.snapshot() as session:
            found = await session.scalar(text(f"SELECT count(*) FROM withdrawals WHERE {_OPEN}"))
        return int(found or 0)

    async def assert_reconciled(self, keys: int) -> Counter[str]:
        """Every withdrawal was paid once or given back once, and the books agree."""
        async with self.services.database.snapshot() as session:
            rows = (await session.execute(text(_RECONCILED))).all()
            booked = await session.scalar(text("SELECT count(*) FROM idempotency_keys"))
        wrong = [row for row in rows if not row.agrees]
        assert wrong == []
        assert len(rows) == booked == keys == len(self.told)
        await assert_proved(self.services)
        return Counter(row.state for row in rows)


# A settled one was paid and nothing was given back; of a failed one, the other way round.
_RECONCILED: Final = """
SELECT w.id, w.state, s.state AS bank, (
    (w.state = 'settled' AND s.state = 'settled' AND returned = 0)
    OR (w.state = 'failed' AND s.state = 'refused' AND returned = 1)
) AND s.amount = w.amount AND s.merchant_id = w.user_id AS agrees
FROM withdrawals AS w LEFT JOIN settlements AS s ON s.withdrawal_id = w.id,
LATERAL (
    SELECT count(*) AS returned FROM ledger_movements AS m WHERE m.reverses_id = w.movement_id
) AS back
"""


@asynccontextmanager
async def load(
    database_url: str, home: Path, *, seed: int, apis: int, later: bool = False
) -> AsyncIterator[Load]:
    """Run a settlement and some APIs on one database; kill what is left at the end."""
    key, jwt, token = CryptoService.generate_key(), secrets.token_urlsafe(48), new_token()
    settings = replace(
        settings_for_tests(),
        vault=VaultSettings(_env_file=None, encryption_key=SecretStr(key)),
        auth=AuthSettings(_env_file=None, jwt_secret=SecretStr(jwt)),
    )
    services = Container(settings, database_url, utc_now, FakeConnector())
    kept = ExitStack()
    ports = [kept.enter_context(KeptPort()) for _ in range(1 + apis)]
    await services.start()
    base = {"DATABASE_URL": database_url, "SETTLEMENT_TOKEN": token, "RL_MAX_REQUESTS": "0"}
    settlement = Process(SETTLEMENT, ports[0].number, base, home)
    told = {
        **base,
        "ENCRYPTION_KEY": key,
        "JWT_SECRET": jwt,
        "SETTLEMENT_URL": settlement.url,
        "ASYNC_SETTLEMENT": str(int(later)),
        "CREDENTIAL_CHECK_INTERVAL_HOURS": "0",
    }
    roles = [Process("api", port.number, told, home) for port in ports[1:]]
    try:
        await asyncio.gather(settlement.start(), *(role.start() for role in roles))
        root = await person(services, "root", Role.ADMIN)
        await fund(services, root, "100000.00")
        people = [await merchant(services, root, f"m{n}", "10000.00") for n in range(10)]
        # One for all: each makes a trust store, which takes the loop's time.
        async with httpx2.AsyncClient(timeout=_ASK_SECONDS_MAX) as client:
            yield Load(services, roles, settlement, people, random.Random(seed), client)
    finally:
        for role in (settlement, *roles):
            await role.kill()
        await services.stop()
        kept.close()
