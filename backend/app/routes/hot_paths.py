"""What is asked most, answered without the framework's detour.

FastAPI walks its tree of routers and solves dependencies anew for every request, which costs more
than everything a warm answer needs. A hot path is an ordinary route, with its policy, its place in
`/docs` and its tests; it is only found by its exact path, and its dependencies are called directly.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.app.clock import Clock
from backend.app.errors import ConfigurationError, StrongroomError
from backend.app.problems import refusal_problem

Endpoint = Callable[..., Awaitable[Response]]

_METHOD: Final = "GET"


@dataclass(frozen=True, slots=True)
class HotPath:
    """One route as it is answered: what it depends on, by name, and its endpoint."""

    route: RouteContext
    endpoint: Endpoint
    request_name: str | None
    needs: tuple["_Need", ...]

    async def answer(self, request: Request) -> Response:
        """Return the endpoint's answer, or raise what a dependency or the endpoint refuses."""
        given: dict[str, Any] = {}
        for need in self.needs:
            found = await (need.call(request) if need.takes_request else need.call())
            if need.name is not None:
                given[need.name] = found
        if self.request_name is not None:
            given[self.request_name] = request
        return await self.endpoint(**given)


@dataclass(frozen=True, slots=True)
class _Need:
    """One dependency. Without a name it is called only for what it refuses."""

    name: str | None
    call: Callable[..., Awaitable[Any]]
    takes_request: bool


class HotPaths:
    """Innermost: answers the hot paths, and hands everything else on."""

    def __init__(self, app: ASGIApp, hot: Mapping[str, HotPath], clock: Clock) -> None:
        self._app = app
        self._hot = hot
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a hot path; a refusal becomes the problem it is everywhere else."""
        hot = self._hot.get(scope["path"]) if scope["type"] == "http" else None
        if hot is None or scope["method"] != _METHOD:
            await self._app(scope, receive, send)
            return
        scope["route"], scope["endpoint"] = hot.route, hot.endpoint
        try:
            answer = await hot.answer(Request(scope, receive))
        except StrongroomError as refusal:
            answer = refusal_problem(refusal, scope["state"]["request_id"], self._clock())
        await answer(scope, receive, send)


def hot_paths(app: FastAPI, endpoints: Collection[Endpoint]) -> dict[str, HotPath]:
    """Return the routes of these endpoints by their paths.

    Raises:
        ConfigurationError: one is no plain GET that answers with ready bytes: it takes parameters
            or a body, or a dependency of it does.
    """
    found = {}
    for route in iter_route_contexts(app.routes):
        if route.endpoint in endpoints and route.methods == {_METHOD}:
            found[str(route.path)] = _hot_path(route)
    if len(found) != len(endpoints):
        raise ConfigurationError("A hot path is no GET of this app.")
    return found


def _hot_path(route: RouteContext) -> HotPath:
    dependant: Dependant = route.dependant
    if dependant.call is None or _takes_more_than_the_request(dependant):
        raise ConfigurationError(f"{route.path} cannot be a hot path: it takes parameters.")
    needs = tuple(_need(need, route) for need in dependant.dependencies)
    return HotPath(route, dependant.call, dependant.request_param_name, needs)


def _need(need: Dependant, route: RouteContext) -> _Need:
    if need.call is None or need.dependencies or _takes_more_than_the_request(need):
        raise ConfigurationError(f"{route.path} cannot be a hot path: see its dependencies.")
    takes_request = bool(need.request_param_name or need.http_connection_param_name)
    return _Need(need.name, need.call, takes_request)


def _takes_more_than_the_request(dependant: Dependant) -> bool:
    return bool(
        dependant.path_params
        or dependant.query_params
        or dependant.header_params
        or dependant.cookie_params
        or dependant.body_params
        or dependant.response_param_name
        or dependant.background_tasks_param_name
    )
