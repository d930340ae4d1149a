"""PostgreSQL killed amid traffic: told as an outage, and nothing acknowledged is lost."""

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from httpx2 import ASGITransport, AsyncClient, Response

from backend.app.clock import utc_now
from backend.app.config import Settings
from backend.app.container import Container
from backend.app.embedded import EmbeddedPostgres
from backend.app.main import AppRole, create_app
from backend.app.migrations import migrate
from backend.app.services.audit_verification import AuditVerification
from backend.tests.support.fake_connector import FakeConnector
from backend.tests.support.people import person

pytestmark = pytest.mark.slow

KILLS = 3
CLIENTS = 4
BINDS_PER_CLIENT = 24
BACK_SECONDS_MAX = 120


class KillableServer:
    """A PostgreSQL of this test's own, to be killed without mercy for the others."""

    def __init__(self, server: EmbeddedPostgres, home: Path, url: str) -> None:
        self.server, self.home, self.url = server, home, url

    def kill(self) -> None:
        (pid_file,) = self.home.rglob("postmaster.pid")
        os.kill(int(pid_file.read_text().splitlines()[0]), signal.SIGKILL)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[KillableServer]:
    home = tmp_path / "postgres"
    server = EmbeddedPostgres(home)
    url = await server.start()
    await asyncio.to_thread(migrate, url)
    yield KillableServer(server, home, url)
    await server.stop()


@pytest.fixture
async def services(settings: Settings, server: KillableServer) -> AsyncIterator[Container]:
    container = Container(settings, server.url, utc_now, FakeConnector())
    await container.start()
    yield container
    await container.stop()


async def answered(client: AsyncClient, headers: dict[str, str], key: str) -> Response:
    """Bind as a client does who asks again when told to; return the first answer that is final."""
    body = {"exchange_name": "binance", "api_key": key, "api_secret": secrets.token_hex(16)}
    async with asyncio.timeout(BACK_SECONDS_MAX):
        while True:
            answer = await client.post("/api/v1/credentials", json=body, headers=headers)
            if answer.status_code != 503:
                return answer
            assert int(answer.headers["retry-after"]) > 0
            assert answer.json()["code"] in {"database-unavailable", "audit-unavailable"}
            await asyncio.sleep(0.02)


async def test_a_database_killed_under_load_loses_nothing_acknowledged(
    services: Container, server: KillableServer
) -> None:
    people = [await person(services, f"user{number}") for number in range(CLIENTS)]
    transport = ASGITransport(app=create_app(AppRole.API, services))
    acknowledged: dict[str, set[str]] = {}
    bound = 0

    async def work(client: AsyncClient, name: str, headers: dict[str, str]) -> None:
        nonlocal bound
        for _ in range(BINDS_PER_CLIENT):
            key = "k" + secrets.token_hex(16)
            answer = await answered(client, headers, key)
            # 409: the commit was done and its answer lost, and the client asked again.
            assert answer.status_code in {201, 409}, answer.text
            acknowledged.setdefault(name, set()).add(f"{key[:4]}...{key[-4:]}")
            bound += 1

    async def kill() -> None:
        for number in range(1, KILLS + 1):
            while bound < number * CLIENTS * BINDS_PER_CLIENT // (KILLS + 1):
                await asyncio.sleep(0.005)
            server.kill()

    async with AsyncClient(transport=transport, base_url="http://test") as client:
        await asyncio.gather(kill(), *(work(client, p.username, p.headers) for p in people))
        for one in people:
            listed = await client.get("/api/v1/credentials", headers=one.headers)
            kept = {item["api_key_masked"] for item in listed.json()}
            assert kept == acknowledged[one.username]

    # Anchors and all.
    verifier = services._crypto.anchor_key().verifier
    assert (await AuditVerification(services.database, verifier, deep=True).run()).finding is None
