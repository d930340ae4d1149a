"""Whoever asks too often is told so, on every route, however deeply its router is nested."""

from dataclasses import replace

import pytest
from fastapi import APIRouter, Depends, FastAPI
from httpx2 import ASGITransport, AsyncClient
from starlette.types import Message

from backend.app.clock import utc_now
from backend.app.config import RateLimitSettings, Settings
from backend.app.container import Container
from backend.app.main import AppRole, create_app
from backend.app.middleware.request_context import RequestContext
from backend.app.routes.policy import PUBLIC, SIGNED_IN
from backend.app.routes.problems import install_problem_handlers
from backend.tests.support.people import person
from backend.tests.support.settings import settings_for_tests

LIMIT = 4


@pytest.fixture
def settings() -> Settings:
    limits = RateLimitSettings(_env_file=None, rl_max_requests=LIMIT, rl_window_sec=600)
    return replace(settings_for_tests(), rate_limit=limits)


async def test_a_user_is_refused_after_the_limit_and_told_when_to_come_back(
    client: AsyncClient, services: Container
) -> None:
    alice, bob = await person(services, "alice"), await person(services, "bob")
    told = [await client.get("/api/v1/credentials", headers=alice.headers) for _ in range(LIMIT)]
    refused = await client.get("/api/v1/me", headers=alice.headers)

    assert [each.status_code for each in told] == [200] * LIMIT
    assert [int(each.headers["x-ratelimit-remaining"]) for each in told] == [3, 2, 1, 0]
    assert {each.headers["x-ratelimit-limit"] for each in told} == {str(LIMIT)}
    assert (refused.status_code, refused.json()["code"]) == (429, "requests-throttled")
    assert 1 <= int(refused.headers["retry-after"]) <= 600
    assert refused.headers["x-ratelimit-limit"] == str(LIMIT)
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert refused.headers["x-ratelimit-reset"] == refused.headers["retry-after"]
    assert (await client.get("/api/v1/me", headers=bob.headers)).status_code == 200


async def test_who_does_not_say_who_it_is_counts_by_address(
    client: AsyncClient, services: Container
) -> None:
    alice = await person(services, "alice")
    anonymous = [(await client.get("/api/v1/credentials")).status_code for _ in range(LIMIT + 1)]
    public = await client.get("/api/v1/exchanges")
    known = await client.get("/api/v1/credentials", headers=alice.headers)

    assert anonymous == [401] * LIMIT + [429]
    assert public.status_code == 429
    # A signed-in person behind the same address is not the one who asked.
    assert known.status_code == 200


async def test_load_balancers_are_always_answered(client: AsyncClient) -> None:
    for path in ("/healthz", "/health", "/readyz"):
        answers = [await client.get(path) for _ in range(LIMIT + 1)]
        assert {each.status_code for each in answers} == {200}


@pytest.mark.parametrize("policy", [PUBLIC, SIGNED_IN])
async def test_routes_of_nested_routers_are_limited_too(
    services: Container, policy: object
) -> None:
    inner, middle, outer = APIRouter(), APIRouter(prefix="/b"), APIRouter(prefix="/a")

    @inner.get("/c", dependencies=[Depends(policy)])  # type: ignore[arg-type]
    async def deep() -> str:
        return "reached"

    middle.include_router(inner)
    outer.include_router(middle)
    app = FastAPI()
    app.state.container = services
    app.include_router(outer)
    app.add_middleware(RequestContext, clock=utc_now)
    install_problem_handlers(app, utc_now)
    headers = (await person(services, "alice")).headers

    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://test") as client:
        told = [(await client.get("/a/b/c", headers=headers)).status_code for _ in range(6)]

    assert told == [200] * LIMIT + [429] * 2


async def test_websockets_are_limited_before_they_are_accepted(services: Container) -> None:
    app = create_app(AppRole.API, services)
    for _ in range(LIMIT):
        await services.requests.count_address("192.0.2.7", {})
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    await app(
        {
            "type": "websocket",
            "path": "/api/v1/ws",
            "raw_path": b"/api/v1/ws",
            "query_string": b"",
            "headers": [],
            "client": ("192.0.2.7", 50000),
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
        },
        receive,
        send,
    )

    assert sent[0]["type"] == "websocket.http.response.start"
    assert sent[0]["status"] == 429
    assert b"requests-throttled" in sent[1]["body"]
