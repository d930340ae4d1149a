"""What every test may ask for: a real database of its own, the services on it, and a client."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from httpx2 import ASGITransport, AsyncClient
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from backend.app.config import DatabaseSettings, Settings
from backend.app.container import Container
from backend.app.database import Database
from backend.app.main import AppRole, create_app
from backend.app.services.exchange_service import ExchangeConnector
from backend.tests.support import commands, postgres
from backend.tests.support.databases import copy_of, make_copy, make_template, with_database
from backend.tests.support.sandbox import RunningSandbox, running_sandbox
from backend.tests.support.settings import usual_settings
from backend.tests.support.statements import share_statements
from backend.tests.support.valkey import Valkey

# A change is judged by the same examples every time; a person who looks for more draws others. A
# loaded machine is slow without anything being wrong, so no example has a deadline.
for profile, examples in (("strongroom", 25), ("thorough", 150), ("exploring", 150)):
    hypothesis_settings.register_profile(
        profile,
        max_examples=examples,
        derandomize=profile != "exploring",
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
hypothesis_settings.load_profile("strongroom")


def pytest_configure(config: pytest.Config) -> None:
    share_statements()
    commands.choose_place(config)
    postgres.start_cluster(config)


def pytest_collection_finish() -> None:
    # What was imported stays: no collection of garbage looks through it again.
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    commands.stop_server(config)
    postgres.stop_cluster(config)


class HandClock:
    """Time that moves only when a test says so."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, **by: float) -> None:
        self.moment += timedelta(**by)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(scope="session")
def cluster_url() -> str:
    return postgres.cluster_url()


@pytest.fixture(scope="session")
def template_database(cluster_url: str) -> str:
    return asyncio.run(make_template(cluster_url))


@pytest.fixture(scope="session")
def started_database(cluster_url: str, template_database: str) -> str:
    """A database like the template's, in which a house with the usual settings has started."""
    return asyncio.run(_started(cluster_url, template_database))


async def _started(cluster_url: str, template: str) -> str:
    name = await make_copy(cluster_url, template)
    house = Container(usual_settings(), with_database(cluster_url, name))
    await house.open()
    await house.stop()
    return name


@pytest.fixture
def copied_database(request: pytest.FixtureRequest) -> str:
    """Return what the test's database is a copy of."""
    # The first start of a house costs as much as most tests of one.
    has_usual_house = (
        "services" in request.fixturenames
        # What its first start leaves behind belongs to its root key, and to nothing else of it.
        and request.getfixturevalue("settings").vault is usual_settings().vault
    )
    name = "started_database" if has_usual_house else "template_database"
    return str(request.getfixturevalue(name))


@pytest.fixture
async def database_url(cluster_url: str, copied_database: str) -> AsyncIterator[str]:
    async with copy_of(cluster_url, copied_database) as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    patient = DatabaseSettings(_env_file=None, database_pool_timeout_seconds=60)
    database = Database(database_url, patient)
    yield database
    await database.close()


@pytest.fixture
def settings() -> Settings:
    return usual_settings()


@pytest.fixture
def connector() -> ExchangeConnector | None:
    """None is the real one; a test that needs the exchange to say something hands in a fake."""
    return None


@pytest.fixture(scope="session")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        yield running


@pytest.fixture
async def services(
    settings: Settings,
    database_url: str,
    clock: HandClock,
    connector: ExchangeConnector | None,
) -> AsyncIterator[Container]:
    """The house, answering; what runs beside the requests is ticked by tests of its own."""
    container = Container(settings, database_url, clock, connector)
    await container.open()
    yield container
    await container.stop()


@pytest.fixture
async def client(services: Container) -> AsyncIterator[AsyncClient]:
    app = create_app(AppRole.API, services)
    transport = ASGITransport(app=app, client=("127.0.0.1", 50000))
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path) as server:
        yield server
