"""What is asked most, answered without the framework's detour.

FastAPI walks its tree of routers and solves dependencies anew for every request, which costs more
than everything a warm answer needs. A hot path is an ordinary route, with its policy, its place in
`/docs` and its tests; it is only found by its exact path, and its dependencies are called directly.
A body that is not plainly what the route takes is left to the framework, which says what is wrong.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts
from pydantic import BaseModel
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.app.clock import Clock
from backend.app.errors import ConfigurationError, StrongroomError
from backend.app.problems import refusal_problem

Endpoint = Callable[..., Awaitable[Response]]

_METHODS: Final = ({"GET"}, {"POST"})
_JSON: Final = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class HotPath:
    """One route as it is answered: what it depends on, by name, and its endpoint."""

    method: str
    route: RouteContext
    endpoint: Endpoint
    request_name: str | None
    body: "_Body | None"
    needs: tuple["_Need", ...]

    async def answer(self, request: Request, asked: BaseModel | None) -> Response:
        """Return the endpoint's answer, or raise what a dependency or the endpoint refuses."""
        given: dict[str, Any] = {}
        if self.body is not None:
            given[self.body.name] = asked
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


@dataclass(frozen=True, slots=True)
class _Body:
    """What is sent, and under which name the endpoint takes it."""

    name: str
    model: type[BaseModel]

    def read(self, scope: Scope, body: bytes) -> BaseModel | None:
        """Return what was sent, or None if it is not plainly that."""
        if _JSON not in scope["headers"]:
            return None
        try:
            # In one go. The framework reads JSON first, and of what passes here it makes the same.
            return self.model.model_validate_json(body)
        except ValueError:
            return None


class HotPaths:
    """Innermost: answers the hot paths, and hands everything else on."""

    def __init__(self, app: ASGIApp, hot: Mapping[str, HotPath], clock: Clock) -> None:
        self._app = app
        self._hot = hot
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a hot path; a refusal becomes the problem it is everywhere else."""
        hot = self._hot.get(scope["path"]) if scope["type"] == "http" else None
        if hot is None or scope["method"] != hot.method:
            await self._app(scope, receive, send)
            return
        asked: BaseModel | None = None
        if hot.body is not None:
            body, receive = await _read(receive)
            asked = hot.body.read(scope, body)
            if asked is None:
                await self._app(scope, receive, send)
                return
        scope["route"], scope["endpoint"] = hot.route, hot.endpoint
        try:
            answer = await hot.answer(Request(scope, receive), asked)
        except StrongroomError as refusal:
            answer = refusal_problem(refusal, scope["state"]["request_id"], self._clock())
        await answer(scope, receive, send)


async def _read(receive: Receive) -> tuple[bytes, Receive]:
    """Return the body of a request, and what hands out the same messages again."""
    messages: deque[Message] = deque()
    is_over = False
    while not is_over:
        messages.append(await receive())
        is_over = not messages[-1].get("more_body", False)
    body = b"".join([each.get("body", b"") for each in messages])

    async def again() -> Message:
        return messages.popleft() if messages else await receive()

    # Whoever has gone away meanwhile sent nothing.
    return body if messages[-1]["type"] == "http.request" else b"", again


def hot_paths(app: FastAPI, endpoints: Collection[Endpoint]) -> dict[str, HotPath]:
    """Return the routes of these endpoints by their paths.

    Raises:
        ConfigurationError: one is no plain route that answers with ready bytes: it takes more than
            one body, or a dependency of it does, or takes parameters.
    """
    found = {}
    for route in iter_route_contexts(app.routes):
        if route.endpoint in endpoints and route.methods in _METHODS:
            found[str(route.path)] = _hot_path(route)
    if len(found) != len(endpoints):
        raise ConfigurationError("A hot path is no GET or POST of this app.")
    return found


def _hot_path(route: RouteContext) -> HotPath:
    dependant: Dependant = route.dependant
    if dependant.call is None or _takes_more_than_the_request(dependant):
        raise ConfigurationError(f"{route.path} cannot be a hot path: it takes parameters.")
    needs = tuple(_need(need, route) for need in dependant.dependencies)
    method, body = next(iter(route.methods or ())), _body(dependant, route)
    return HotPath(method, route, dependant.call, dependant.request_param_name, body, needs)


def _body(dependant: Dependant, route: RouteContext) -> _Body | None:
    if not dependant.body_params:
        return None
    field, *more = dependant.body_params
    model = field.field_info.annotation
    is_whole = not more and not getattr(field.field_info, "embed", None)
    if not is_whole or not isinstance(model, type) or not issubclass(model, BaseModel):
        raise ConfigurationError(f"{route.path} cannot be a hot path: its body is no one model.")
    return _Body(field.name, model)


def _need(need: Dependant, route: RouteContext) -> _Need:
    takes_more = need.dependencies or need.body_params or _takes_more_than_the_request(need)
    if need.call is None or takes_more:
        raise ConfigurationError(f"{route.path} cannot be a hot path: see its dependencies.")
    takes_request = bool(need.request_param_name or need.http_connection_param_name)
    return _Need(need.name, need.call, takes_request)


def _takes_more_than_the_request(dependant: Dependant) -> bool:
    return bool(
        dependant.path_params
        or dependant.query_params
        or dependant.header_params
        or dependant.cookie_params
        or dependant.response_param_name
        or dependant.background_tasks_param_name
    )
