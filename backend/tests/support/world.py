"""One running house for all tests of a module: its own database, services and client."""

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from httpx2 import ASGITransport, AsyncClient

from backend.app.clock import Clock, utc_now
from backend.app.config import Settings
from backend.app.container import Container
from backend.app.enums import Role
from backend.app.main import AppRole, create_app
from backend.tests.support.databases import copy_of
from backend.tests.support.fake_connector import FakeConnector
from backend.tests.support.people import Person, person


@dataclass
class House:
    """A house with an exchange that says what it is told to, and people nobody has met yet."""

    services: Container
    client: AsyncClient
    connector: FakeConnector
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def somebody(self, role: Role = Role.USER) -> Person:
        """Return somebody new, signed in."""
        return await person(self.services, f"somebody{next(self._numbers)}", role)


@asynccontextmanager
async def running_house(
    cluster_url: str,
    template: str,
    settings: Settings,
    clock: Clock = utc_now,
    *,
    works: bool = True,
) -> AsyncIterator[House]:
    """Run a house on a database of its own; with workers beside the requests, if it `works`."""
    async with copy_of(cluster_url, template) as url:
        connector = FakeConnector()
        services = Container(settings, url, clock, connector)
        await (services.start() if works else services.open())
        # An unexpected exception is answered, as over a socket, and not raised in the test.
        transport = ASGITransport(
            app=create_app(AppRole.API, services),
            raise_app_exceptions=False,
            client=("127.0.0.1", 50000),
        )
        async with AsyncClient(transport=transport, base_url="http://test") as client:
            yield House(services, client, connector)
        await services.stop()
