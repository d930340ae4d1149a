"""Each WebSocket gets a name, two log lines, and a look at where its page comes from."""

import time
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from backend.app.clock import Clock
from backend.app.errors import OriginRefused
from backend.app.ids import new_request_id
from backend.app.logs import logger
from backend.app.middleware.request_context import asked_id, route_of
from backend.app.problems import refusal_problem
from backend.app.websocket_wire import WIRE_EXTENSION

_DEFECT: Final = 1011
_ANY: Final = "*"
_LOG = logger(__name__)


class WebsocketContext:
    """Names a WebSocket, refuses pages of foreign origins, logs its beginning and its end.

    A browser sends cookies and comes from inside the network whatever page it shows, and says
    whose page that is in `Origin`. Other clients send none and are let through.
    Source: RFC 6455, section 10.2.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str], clock: Clock) -> None:
        self._app = app
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a WebSocket on between its first and its last log line."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        request_id = asked_id(scope) or new_request_id()
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        if not self._is_welcome(scope):
            _LOG.info("websocket_refused", code=OriginRefused.slug)
            refusal = refusal_problem(OriginRefused(), request_id, self._clock())
            await refusal(scope, receive, send)
            return
        await self._watched(scope, receive, send)

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        line = _Line(scope, receive, send)
        try:
            await self._app(scope, line.receive, line.send)
        except WebSocketDisconnect:
            # Gone before it was accepted.
            pass
        except Exception:  # noqa: BLE001
            # The last door of this connection: a defect is logged with its trace and told plainly.
            _LOG.exception("unexpected", route=route_of(scope))
            await line.break_off()
        finally:
            line.close()

    def _is_welcome(self, scope: Scope) -> bool:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        origin = headers.get(b"origin")
        if origin is None:
            return True
        shown, host = origin.decode("latin-1").lower(), headers.get(b"host", b"").decode("latin-1")
        if self._origins & {shown, _ANY}:
            return True
        return urlsplit(shown).netloc == host.lower() != ""


class _Line:
    """Sees a WebSocket begin and end."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._began = time.perf_counter()
        self._is_open = False
        self.code: int | None = None

    async def receive(self) -> Message:
        event = await self._receive()
        if event["type"] == "websocket.disconnect":
            self.code = event.get("code")
        return event

    async def send(self, message: Message) -> None:
        if message["type"] == "websocket.accept":
            self._is_open = True
            _LOG.info("websocket_opened", route=route_of(self._scope))
        await self._send(message)

    async def break_off(self) -> None:
        self.code = _DEFECT
        if self._is_open:
            self._scope["extensions"][WIRE_EXTENSION]["wire"].close(_DEFECT, "unexpected")
        else:
            await self._send({"type": "websocket.close"})

    def close(self) -> None:
        if self._is_open:
            seconds = round(time.perf_counter() - self._began, 1)
            _LOG.info(
                "websocket_closed", route=route_of(self._scope), code=self.code, seconds=seconds
            )
