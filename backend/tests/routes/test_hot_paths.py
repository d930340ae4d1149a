"""A hot path answers as the same route answers anywhere: same policy, same refusals, same words."""

from collections.abc import AsyncIterator
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Query, Response
from httpx2 import ASGITransport, AsyncClient

from backend.app.clock import utc_now
from backend.app.container import Container
from backend.app.errors import ConfigurationError
from backend.app.main import AppRole, create_app
from backend.app.middleware.request_context import RequestContext
from backend.app.routes import credential_routes, user_routes
from backend.app.routes.hot_paths import HotPaths, hot_paths
from backend.app.routes.policy import PUBLIC, SIGNED_IN, CurrentUser, Policy, Public
from backend.tests.support.people import person


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
