"""The house on a loopback port, in an event loop of its own, for clients that are not asyncio."""

import asyncio
import itertools
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
import uvicorn
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from backend.app.clock import utc_now
from backend.app.container import Container
from backend.app.enums import Role
from backend.app.main import AppRole, create_app
from backend.app.serving import listening
from backend.tests.support.access import OBJECTS, World
from backend.tests.support.databases import copy_of
from backend.tests.support.fake_connector import FakeConnector
from backend.tests.support.people import Person, person
from backend.tests.support.settings import settings_for_tests

_START_SECONDS_MAX = 120.0
# Longer than anybody takes to think of the next question: else it may meet the end of its line.
_KEEP_ALIVE_SECONDS = 3_600
_POLL_SECONDS = 0.01


@dataclass
class ServedHouse:
    """Where it listens, and people and things that are there to be asked about."""

    base_url: str
    world: World
    _loop: asyncio.AbstractEventLoop
    session: requests.Session = field(default_factory=requests.Session)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _people: dict[Role, Person] = field(default_factory=dict)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do something in the event loop of the house."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def somebody(self, role: Role, *, anew: bool = False) -> Person:
        """Return somebody of this role who is signed in, the same until one is wanted anew."""
        if anew or role not in self._people:
            name = f"served{next(self._numbers)}-{secrets.token_hex(3)}"
            self._people[role] = self.run(person(self.world.services, name, role))
        return self._people[role]

    def make(self, parameter: str, owner: Person) -> int | str:
        """Make what a path parameter names, and return the value that names it."""

        async def make() -> int | str:
            return await OBJECTS[parameter].make(self.world, owner)

        made: int | str = self.run(make())
        return made


@contextmanager
def served_house(cluster_url: str, template: str) -> Iterator[ServedHouse]:
    """Serve the API by uvicorn, on a database of its own, until the block ends."""
    ready, stopping = threading.Event(), threading.Event()
    found: list[ServedHouse] = []

    async def serve() -> None:
        async with (
            copy_of(cluster_url, template) as url,
            _services(url) as services,
            _listening_house(create_app(AppRole.API, services), services) as house,
        ):
            found.append(house)
            ready.set()
            await asyncio.to_thread(stopping.wait)

    with _in_a_thread(serve):
        try:
            if not ready.wait(_START_SECONDS_MAX):
                raise RuntimeError("the house did not start")
            with found[0].session:
                yield found[0]
        finally:
            stopping.set()


@contextmanager
def _in_a_thread(run: Callable[[], Coroutine[Any, Any, None]]) -> Iterator[None]:
    thread = threading.Thread(target=lambda: asyncio.run(run()), name="house")
    thread.start()
    try:
        yield
    finally:
        thread.join(_START_SECONDS_MAX)


@asynccontextmanager
async def _services(url: str) -> AsyncIterator[Container]:
    services = Container(settings_for_tests(), url, utc_now, FakeConnector())
    await services.start()
    try:
        yield services
    finally:
        await services.stop()


@asynccontextmanager
async def _listening_house(app: FastAPI, services: Container) -> AsyncIterator[ServedHouse]:
    # Bound as the product binds: on a socket not named as TCP every answer would wait 40 ms.
    with listening("127.0.0.1", 0, "nothing: the port is free") as listener:
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                forwarded_allow_ips="127.0.0.1",
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(_POLL_SECONDS)
        port = listener.getsockname()[1]
        async with AsyncClient(transport=ASGITransport(app=app), base_url="http://test") as client:
            yield ServedHouse(
                f"http://127.0.0.1:{port}", World(client, services), asyncio.get_running_loop()
            )
        server.should_exit = True
        await serving
