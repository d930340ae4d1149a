"""Thousands of generated requests, right and wrong, at every route over real HTTP.

No answer is a 5xx but a documented 503, every refusal has the one form, and every answer is what
the documentation says it is. Run by `make fuzz`.
"""

import asyncio
import itertools
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
import requests
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)

from backend.app.clock import utc_now
from backend.app.container import Container
from backend.app.enums import Role
from backend.app.main import AppRole, create_app
from backend.tests.support.databases import copy_of
from backend.tests.support.fake_connector import FakeConnector
from backend.tests.support.people import Person, person
from backend.tests.support.settings import settings_for_tests

CASES_PER_OPERATION = 250
CASES_MIN = 6_000
_START_SECONDS_MAX = 20.0
_CHECKS = [
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    allow_header_conformance,
]

pytestmark = pytest.mark.slow


@dataclass
class Api:
    """The house on a loopback port, in an event loop of its own."""

    base_url: str
    container: Container
    openapi: dict[str, Any]
    _loop: asyncio.AbstractEventLoop
    session: requests.Session = field(default_factory=requests.Session)
    asked: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _people: dict[Role, Person] = field(default_factory=dict)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def headers(self, role: Role, *, anew: bool = False) -> dict[str, str]:
        """Return the header of somebody of this role, who may have been deleted since."""
        if anew or role not in self._people:
            name = f"fuzz{next(self._numbers)}-{secrets.token_hex(3)}"
            self._people[role] = self.run(person(self.container, name, role))
        # Each request comes from elsewhere, or the limit by address would answer most of them.
        address = f"10.{'.'.join(str(byte) for byte in secrets.token_bytes(3))}"
        return {**self._people[role].headers, "X-Forwarded-For": address}

    def count(self, status: int) -> None:
        self.asked += 1
        self.statuses[status] = self.statuses.get(status, 0) + 1


@asynccontextmanager
async def _house(url: str) -> AsyncIterator[Container]:
    container = Container(settings_for_tests(), url, utc_now, FakeConnector())
    await container.start()
    try:
        yield container
    finally:
        await container.stop()


@contextmanager
def _in_a_thread(run: Callable[[], Coroutine[Any, Any, None]]) -> Iterator[None]:
    thread = threading.Thread(target=lambda: asyncio.run(run()), name="house")
    thread.start()
    try:
        yield
    finally:
        thread.join(_START_SECONDS_MAX)


@contextmanager
def _served(cluster_url: str, template: str) -> Iterator[Api]:
    ready, stopping = threading.Event(), threading.Event()
    found: list[Api] = []

    async def serve() -> None:
        async with copy_of(cluster_url, template) as url, _house(url) as container:
            app = create_app(AppRole.API, container)
            with socket.create_server(("127.0.0.1", 0)) as listener:
                config = uvicorn.Config(
                    app,
                    log_config=None,
                    access_log=False,
                    lifespan="off",
                    forwarded_allow_ips="127.0.0.1",
                )
                server = uvicorn.Server(config)
                base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
                loop = asyncio.get_running_loop()
                found.append(Api(base_url, container, app.openapi(), loop))
                serving = asyncio.create_task(server.serve(sockets=[listener]))
                while not server.started:
                    await asyncio.sleep(0.01)
                ready.set()
                await asyncio.to_thread(stopping.wait)
                server.should_exit = True
                await serving

    with _in_a_thread(serve):
        try:
            assert ready.wait(_START_SECONDS_MAX)
            with found[0].session:
                yield found[0]
        finally:
            stopping.set()


@pytest.fixture(scope="module")
def api(cluster_url: str, template_database: str) -> Iterator[Api]:
    with _served(cluster_url, template_database) as served:
        yield served


def test_no_request_breaks_the_house(api: Api) -> None:
    documented = schemathesis.openapi.from_dict(api.openapi)

    for operation in documented.get_all_operations():
        _throw_at(api, operation.ok())

    # A fuzzer whose requests are all refused at the door proves little.
    assert api.asked >= CASES_MIN, api.statuses
    assert sum(api.statuses.get(status, 0) for status in (200, 201, 204)) > api.asked / 10
    assert api.statuses.get(422, 0) > api.asked / 10
    assert api.statuses.get(401, 0) < api.asked / 5


def _throw_at(api: Api, operation: Any) -> None:
    role = Role.ADMIN if operation.path.startswith("/api/v1/users") else Role.USER
    either_way = st.one_of([operation.as_strategy(generation_mode=m) for m in _modes(operation)])

    @settings(
        max_examples=CASES_PER_OPERATION,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(either_way)
    def throw(case: Any) -> None:
        answer = _ask(api, case, role)
        api.count(answer.status_code)
        assert answer.status_code < 500 or _is_documented(case, answer.status_code), answer.text
        if answer.status_code >= 400:
            _assert_is_problem(answer)
        case.validate_response(answer, checks=_CHECKS)

    throw()


def _modes(operation: Any) -> list[GenerationMode]:
    """Return the ways in which requests are made: as documented, and where one can, not so."""
    takes_something = operation.body or operation.path_parameters or operation.query
    return list(GenerationMode) if takes_something else [GenerationMode.POSITIVE]


def _ask(api: Api, case: Any, role: Role) -> Any:
    # Signing out, or an administrator deleting somebody drawn at random, may end our session.
    for anew in (case.path.endswith("/logout"), True):
        answer = case.call(
            base_url=api.base_url, session=api.session, headers=api.headers(role, anew=anew)
        )
        if answer.status_code != 401 or "/auth/" in case.path:
            break
    return answer


def _is_documented(case: Any, status: int) -> bool:
    return status == 503 and str(status) in case.operation.definition.raw["responses"]


def _assert_is_problem(answer: Any) -> None:
    body: Mapping[str, Any] = answer.json()
    assert answer.headers["content-type"] == ["application/problem+json"]
    assert body["status"] == answer.status_code
    assert [body["request_id"]] == answer.headers["x-request-id"]
    assert body["type"].endswith(body["code"])
    datetime.fromisoformat(body["timestamp"])
