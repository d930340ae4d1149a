"""Faults over HTTP: a wrapper around one exchange's door that breaks what the deck says."""

import asyncio
import hashlib
from collections.abc import Callable
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.app.exchanges.dialects.base import Dialect
from backend.app.exchanges.reasons import Reason
from backend.app.exchanges.wire import WireAnswer, WireRequest
from backend.app.sandbox.fault_deck import Fault, FaultDeck, FaultRule
from backend.app.sandbox.throttle_headers import throttle_headers

SKEW: Final = "sandbox.clock_skew_ms"
"""Under this name the scope tells the door how wrong the exchange's clock goes."""

_BROKEN_OFF: Final = b'{"'
_PROMISED_BYTES: Final = b"1000"
_PAGE: Final = (
    b"<!DOCTYPE html><html><head><title>Just a moment...</title></head>"
    b"<body><h1>Checking your browser before you continue.</h1></body></html>"
)
_GARBAGE_BYTES: Final = 64


class FaultyDoor:
    """One exchange's app, and in front of it the deck."""

    def __init__(
        self, app: ASGIApp, dialect: Dialect, deck: FaultDeck, now_ms: Callable[[], int]
    ) -> None:
        self._app = app
        self._dialect = dialect
        self._deck = deck
        self._now_ms = now_ms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, unless its fate is another."""
        if scope["type"] != "http" or self._deck.is_empty:
            await self._app(scope, receive, send)
            return
        prefix = f"/{self._dialect.exchange}"
        request = WireRequest(scope["method"], scope["path"].removeprefix(prefix))
        right = self._dialect.right_needed(request)
        fate = self._deck.draw(self._dialect.exchange, request.method, request.path, right)
        if fate.delay_ms:
            await asyncio.sleep(fate.delay_ms / 1_000)
        if fate.skew_ms:
            scope = {**scope, SKEW: fate.skew_ms}
        if fate.rule is None:
            await self._app(scope, receive, send)
        elif fate.rule.fault is Fault.LOST_REPLY:
            await self._app(scope, receive, _into_the_void)
            await _break_off(send)
        elif fate.rule.fault is Fault.CUT:
            await _break_off(send)
        else:
            answer = self._instead(fate.rule, request, _address(scope))
            response = Response(answer.body, answer.status, dict(answer.headers))
            await response(scope, receive, send)

    def _instead(self, rule: FaultRule, request: WireRequest, address: str) -> WireAnswer:
        """Return what is answered in the exchange's place."""
        match rule.fault:
            case Fault.THROTTLE:
                said = self._dialect.render_refusal(Reason.RATE_LIMITED, request, address)
                headers = throttle_headers(self._dialect.exchange, self._now_ms())
                return WireAnswer(said.status, said.body, {**said.headers, **headers})
            case Fault.MAINTENANCE:
                return self._dialect.render_refusal(Reason.EXCHANGE_UNAVAILABLE, request, address)
            case Fault.HTML:
                return WireAnswer(rule.status or 200, _PAGE, {"content-type": "text/html"})
            case Fault.GARBAGE:
                body = hashlib.shake_256(request.path.encode()).digest(_GARBAGE_BYTES)
                return WireAnswer(rule.status or 200, body, {"content-type": "application/json"})
            case _:
                body = b"Internal Server Error"
                return WireAnswer(rule.status or 500, body, {"content-type": "text/plain"})


async def _into_the_void(_: Message) -> None:
    return


async def _break_off(send: Send) -> None:
    """Begin an answer and never finish it: the server then closes the connection.

    To close before the first byte is not in ASGI. A client is as wise after a status line as
    before it: what it was promised did not come.
    """
    headers = [(b"content-type", b"application/json"), (b"content-length", _PROMISED_BYTES)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _BROKEN_OFF, "more_body": True})


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""
