"""Every route says who may use it, or nothing starts."""

from collections.abc import Callable

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

from backend.app.container import Container
from backend.app.enums import Role
from backend.app.errors import ConfigurationError
from backend.app.main import AppRole, create_app
from backend.app.routes.policy import (
    ADMINISTRATION,
    PUBLIC,
    SIGNED_IN,
    Administrator,
    CurrentUser,
    Public,
    declared_policies,
    refuse_undeclared_routes,
    undeclared_routes,
)


async def open_to_all() -> None: ...


async def for_signed_in(user: CurrentUser) -> None: ...


async def for_administrators(user: Administrator) -> None: ...


async def plain(request: Request) -> PlainTextResponse:
    return PlainTextResponse("")


def nested(add: Callable[[APIRouter], object]) -> FastAPI:
    """Return an app whose one route lies three routers deep."""
    inner, middle, outer = APIRouter(prefix="/c"), APIRouter(prefix="/b"), APIRouter(prefix="/a")
    add(inner)
    middle.include_router(inner)
    outer.include_router(middle)
    app = FastAPI()
    app.include_router(outer)
    return app


def test_a_route_without_a_policy_is_found_however_deep_it_lies() -> None:
    app = nested(lambda router: router.get("/d")(open_to_all))

    assert undeclared_routes(app) == ["GET /a/b/c/d"]
    with pytest.raises(ConfigurationError, match="GET /a/b/c/d"):
        refuse_undeclared_routes(app)


def test_two_policies_are_as_bad_as_none() -> None:
    app = nested(
        lambda router: router.post("/d", dependencies=[Depends(PUBLIC)])(for_administrators)
    )

    assert undeclared_routes(app) == ["POST /a/b/c/d"]


def test_two_policies_declared_by_a_router_and_a_route_are_two() -> None:
    app = FastAPI()
    router = APIRouter()
    router.get("/x")(for_signed_in)
    app.include_router(router, dependencies=[Depends(ADMINISTRATION)])

    assert undeclared_routes(app) == ["GET /x"]


def test_one_policy_declared_twice_is_one() -> None:
    app = nested(lambda router: router.get("/d", dependencies=[Depends(SIGNED_IN)])(for_signed_in))

    assert undeclared_routes(app) == []


def test_plain_routes_websockets_and_mounts_need_a_policy_too() -> None:
    app = FastAPI()
    app.add_route("/plain", plain)
    app.websocket("/socket")(open_to_all)
    app.router.routes.append(Mount("/files", app=FastAPI()))

    assert undeclared_routes(app) == ["GET HEAD /plain", "/socket", "/files"]


def test_the_documentation_pages_are_public_by_nature() -> None:
    paths = {route.path: policies for route, policies in declared_policies(FastAPI())}

    assert paths["/openapi.json"] == [PUBLIC]
    assert undeclared_routes(FastAPI()) == []


@pytest.mark.parametrize("role", [AppRole.API, AppRole.PRICES])
def test_the_house_declares_everything(services: Container, role: AppRole) -> None:
    assert undeclared_routes(create_app(role, services)) == []


@pytest.mark.parametrize("role", [AppRole.API, AppRole.PRICES])
def test_the_documentation_shows_the_scheme_on_protected_routes_only(
    services: Container, role: AppRole
) -> None:
    app = create_app(role, services)
    paths = app.openapi()["paths"]

    for route, (policy,) in declared_policies(app):
        for method in route.methods or ():
            shown = paths.get(route.path, {}).get(method.lower())
            if shown is not None:
                assert ("security" in shown) != isinstance(policy, Public), route.path


def test_everybody_signed_in_means_every_role() -> None:
    assert SIGNED_IN.roles == frozenset(Role)
