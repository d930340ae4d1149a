"""A hot path answers as the same route answers anywhere: same policy, same refusals, same words."""

import itertools
import json
from collections.abc import AsyncIterator
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Query, Response
from httpx2 import ASGITransport, AsyncClient
from httpx2 import Response as Answer

from backend.app.clock import utc_now
from backend.app.container import Container
from backend.app.enums import KeyScope
from backend.app.errors import ConfigurationError
from backend.app.main import AppRole, create_app
from backend.app.middleware.request_context import RequestContext
from backend.app.routes import credential_routes, user_routes
from backend.app.routes.hot_paths import HotPaths, hot_paths
from backend.app.routes.policy import PUBLIC, SIGNED_IN, CurrentUser, Policy, Public
from backend.tests.support.api_keys import api_key, hmac_hex, message, signed_headers
from backend.tests.support.people import person
from backend.tests.support.spot import ORDERS, open_venue, trader


@pytest.fixture
async def detour(services: Container) -> AsyncIterator[AsyncClient]:
    """The same app without its hot paths."""
    app = create_app(AppRole.API, services)
    app.user_middleware = [each for each in app.user_middleware if each.cls is not HotPaths]
    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://test") as client:
        yield client


@pytest.mark.parametrize(
    "authorization", [None, "Bearer nonsense", "Basic YTpi", "Bearer srk_nothing", "right"]
)
async def test_it_answers_as_the_route_itself_does(
    client: AsyncClient, detour: AsyncClient, services: Container, authorization: str | None
) -> None:
    alice = await person(services, "alice")
    told = alice.headers["Authorization"] if authorization == "right" else authorization
    headers = {"X-Request-ID": "the-same-name"} | ({"Authorization": told} if told else {})

    hot = await client.get("/api/v1/credentials", headers=headers)
    plain = await detour.get("/api/v1/credentials", headers=headers)

    assert (hot.status_code, hot.content) == (plain.status_code, plain.content)
    assert sorted(hot.headers.items()) == sorted(plain.headers.items())
    assert (hot.status_code == 200) is (authorization == "right")


ORDER = {
    "symbol": "BTC/USDT",
    "side": "buy",
    "price": "60000",
    "quantity": "0.1",
    "client_order_id": "the-same",
}


BODIES = [
    json.dumps(ORDER).encode(),
    json.dumps({**ORDER, "price": "60000.001", "client_order_id": "other"}).encode(),
    json.dumps({**ORDER, "price": 60000}).encode(),
    json.dumps({**ORDER, "more": 1}).encode(),
    json.dumps([ORDER]).encode(),
    # The last of two is meant; and JSON in other encodings than most programs send.
    b'{"price": "1", ' + json.dumps(ORDER)[1:].encode(),
    json.dumps({**ORDER, "symbol": "\ud800"}).encode(),
    *(json.dumps(ORDER).encode(encoding) for encoding in ("utf-8-sig", "utf-16")),
    *(b'{"symbol": NaN}', b"{", b"", b"null", b"\xff", b"[" * 20_000, b'"' + b"x" * 70_000 + b'"'),
]
BATCHES = [
    json.dumps({"orders": [ORDER, {**ORDER, "symbol": "NO/NE", "client_order_id": "none"}]}),
    json.dumps({"orders": [{**ORDER, "price": 60000}]}),
    json.dumps({"orders": []}),
]
POSTED = [(ORDERS, body) for body in BODIES] + [(f"{ORDERS}/batch", b.encode()) for b in BATCHES]
KINDS = ("application/json", "application/json; charset=utf-8", "text/plain", "")


@pytest.mark.parametrize("authorization", [None, "Bearer nonsense", "right"])
async def test_what_is_posted_is_answered_as_by_the_route_itself(
    client: AsyncClient, detour: AsyncClient, services: Container, authorization: str | None
) -> None:
    wrong = []
    async with open_venue(services):
        alice = await trader(client, services, "alice", USDT="10000")
        told = alice.who.headers["Authorization"] if authorization == "right" else authorization
        headers = {"X-Request-ID": "the-same-name"} | ({"Authorization": told} if told else {})

        for (path, body), kind in itertools.product(POSTED, KINDS):
            sent = headers | ({"Content-Type": kind} if kind else {})
            hot, plain = [
                await house.post(path, content=body, headers=sent) for house in (client, detour)
            ]
            if (hot.status_code, hot.content, counted(hot)) != (
                plain.status_code,
                plain.content,
                counted(plain),
            ):
                wrong.append((body[:80], kind, hot.status_code, plain.status_code))

    assert wrong == []


def counted(answer: Answer) -> list[tuple[str, str]]:
    """Return the headers of an answer, but for how many requests are left."""
    return sorted(each for each in answer.headers.items() if "ratelimit" not in each[0])


async def test_a_signed_order_is_read_once_and_its_signature_checked(
    client: AsyncClient, services: Container
) -> None:
    async with open_venue(services):
        alice = await trader(client, services, "alice", USDT="10000")
        key = await api_key(services, alice.who, KeyScope.TRADE, signing="hmac")
        body, now = json.dumps(ORDER).encode(), str(int(services.clock().timestamp()))
        said = message(now, "a-nonce-of-its-own", "POST", ORDERS, body)
        signed = signed_headers(key, now, "a-nonce-of-its-own", hmac_hex(key, said))
        other = json.dumps({**ORDER, "price": "1000"}).encode()
        json_kind = {"Content-Type": "application/json"}

        tampered = await client.post(ORDERS, content=other, headers=signed | json_kind)
        placed = await client.post(ORDERS, content=body, headers=signed | json_kind)

    assert (tampered.status_code, tampered.json()["code"]) == (401, "signature-refused")
    assert placed.status_code == 201


async def test_other_methods_and_longer_paths_are_not_its_own(client: AsyncClient) -> None:
    assert (await client.delete("/api/v1/credentials")).status_code == 405
    assert (await client.get("/api/v1/credentials/")).status_code != 200
    assert (await client.get("/api/v1/credentials/1")).status_code == 401


async def test_the_list_of_credentials_is_one(services: Container) -> None:
    app = create_app(AppRole.API, services)

    found = hot_paths(app, [credential_routes.list_credentials])

    assert list(found) == ["/api/v1/credentials"]
    assert any(each.cls is HotPaths for each in app.user_middleware)


def test_a_route_that_is_not_in_the_app_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        hot_paths(FastAPI(), [credential_routes.list_credentials])


async def takes_a_query(wanted: Annotated[int, Query()], user: CurrentUser) -> Response:
    return Response(str(wanted))


async def needs_a_query(wanted: int = 1) -> int:
    return wanted


async def depends_on_one(wanted: Annotated[int, Depends(needs_a_query)]) -> Response:
    return Response(str(wanted))


@pytest.mark.parametrize("endpoint", [takes_a_query, depends_on_one])
def test_a_route_that_takes_more_than_the_request_is_refused(endpoint: object) -> None:
    app = FastAPI()
    app.get("/")(endpoint)  # type: ignore[arg-type]

    with pytest.raises(ConfigurationError):
        hot_paths(app, [endpoint])  # type: ignore[list-item]


def test_a_route_with_a_body_or_a_path_is_refused(services: Container) -> None:
    app = create_app(AppRole.API, services)

    with pytest.raises(ConfigurationError):
        hot_paths(app, [user_routes.list_users])
    with pytest.raises(ConfigurationError):
        hot_paths(app, [user_routes.update_user])
    with pytest.raises(ConfigurationError):
        hot_paths(app, [credential_routes.show])


@pytest.mark.parametrize(("policy", "status"), [(PUBLIC, 200), (SIGNED_IN, 401)])
async def test_a_policy_that_hands_nothing_over_is_asked_all_the_same(
    services: Container, policy: Public | Policy, status: int
) -> None:
    app = FastAPI()
    app.state.container = services

    @app.get("/", dependencies=[Depends(policy)])
    async def greet() -> Response:
        return Response("hello")

    app.add_middleware(HotPaths, hot=hot_paths(app, [greet]), clock=utc_now)
    app.add_middleware(RequestContext, clock=utc_now)
    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://test") as client:
        assert (await client.get("/")).status_code == status
