"""Each request gets a name, one log line, and an answer even when something breaks."""

import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.app.clock import Clock
from backend.app.ids import new_request_id
from backend.app.logs import log_request, logger
from backend.app.problems import PROBLEM_CODE, internal_problem
from backend.app.request_entry import (
    ADDRESS_LENGTH_MAX,
    BODY_BYTES,
    INTEGER_MAX,
    KEY_PREFIX,
    METHOD_LENGTH_MAX,
    ROUTE_LENGTH_MAX,
    USER_ID,
    RequestEntry,
)
from backend.app.services.request_limit import ALLOWANCE, Allowance

_LOG = logger(__name__)
_ACCEPTED_ID: Final = re.compile(rb"[A-Za-z0-9-]{8,64}")


class RequestContext:
    """Outermost: names the request, logs it once, answers 500 for a defect without its text.

    `note` is handed what the log of requests keeps of it.
    """

    def __init__(
        self, app: ASGIApp, clock: Clock, note: Callable[[RequestEntry], None] | None = None
    ) -> None:
        self._app = app
        self._clock = clock
        self._note = note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on between its first and its last log line."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = asked_id(scope) or new_request_id()
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        answer = _Answer(send, scope["state"])
        started = time.perf_counter()
        try:
            await self._app(scope, receive, answer.send)
        except Exception:  # noqa: BLE001
            # The last door of the process: a defect is logged with its trace and answered plainly.
            _LOG.exception("unexpected", method=scope["method"], route=route_of(scope))
            if answer.status is None:
                await internal_problem(request_id, self._clock())(scope, receive, answer.send)
        finally:
            self._tell(scope, answer, time.perf_counter() - started)

    def _tell(self, scope: Scope, answer: "_Answer", elapsed_seconds: float) -> None:
        route, state = route_of(scope), scope["state"]
        members = {
            "request_id": state["request_id"],
            "method": scope["method"],
            "route": route,
            "status": answer.status,
            "milliseconds": round(elapsed_seconds * 1000, 1),
        }
        if PROBLEM_CODE in state:
            members["code"] = state[PROBLEM_CODE]
        log_request(members)
        if self._note is not None and answer.status is not None:
            self._note(_entry(scope, route, answer, self._clock(), elapsed_seconds))


class _Answer:
    """Remembers the status; adds the request's name and what its sender may still ask."""

    def __init__(self, send: Send, state: dict[str, Any]) -> None:
        self._send = send
        self._state = state
        self.status: int | None = None
        self.body_bytes = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            named = (b"x-request-id", self._state["request_id"].encode())
            message["headers"] = [*message["headers"], named, *self._allowance()]
        else:
            self.body_bytes += len(message.get("body", b""))
        await self._send(message)

    def _allowance(self) -> list[tuple[bytes, bytes]]:
        allowance: Allowance | None = self._state.get(ALLOWANCE)
        if allowance is None:
            return []
        return [
            (b"x-ratelimit-limit", b"%d" % allowance.limit),
            (b"x-ratelimit-remaining", b"%d" % allowance.remaining),
            (b"x-ratelimit-reset", b"%d" % allowance.reset_seconds(time.time())),
        ]


def _entry(
    scope: Scope, route: str, answer: _Answer, at: datetime, elapsed_seconds: float
) -> RequestEntry:
    state = scope["state"]
    client: tuple[str, int] | None = scope.get("client")
    return RequestEntry(
        at=at,
        request_id=state["request_id"],
        method=scope["method"][:METHOD_LENGTH_MAX],
        route=route[:ROUTE_LENGTH_MAX],
        status=answer.status or 0,
        user_id=state.get(USER_ID),
        key_prefix=state.get(KEY_PREFIX),
        address=client[0][:ADDRESS_LENGTH_MAX] if client else None,
        duration_us=min(round(elapsed_seconds * 1_000_000), INTEGER_MAX),
        request_bytes=state.get(BODY_BYTES, 0),
        response_bytes=min(answer.body_bytes, INTEGER_MAX),
    )


def asked_id(scope: Scope) -> str | None:
    """Return the name a client gave its request, if it is a usable one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _ACCEPTED_ID.fullmatch(value):
            return bytes(value).decode()
    return None


def route_of(scope: Scope) -> str:
    """Return the template of the path that was asked, once it was routed."""
    # The template, never the URL: a URL may carry what its sender should not have put there.
    # FastAPI keeps routes as a tree; only its own context knows the template from the root.
    # For a WebSocket it is the other way round.
    whole = scope.get("fastapi", {}).get("effective_route_context")
    return getattr(whole, "path", None) or getattr(scope.get("route"), "path", None) or "-"
