"""No body is read past its bound, whatever length it claims."""

from collections import deque

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.app.clock import Clock
from backend.app.errors import PayloadTooLarge
from backend.app.problems import refusal_problem
from backend.app.request_entry import BODY_BYTES


class BodyLimit:
    """Reads a body up to `limit_bytes` before the app sees it; a longer one is refused.

    Reading ahead keeps the refusal a refusal: raised inside the app it would come out as a
    parsing error.
    """

    def __init__(self, app: ASGIApp, limit_bytes: int, clock: Clock) -> None:
        self._app = app
        self._limit_bytes = limit_bytes
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body in hand, or answer 413."""
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        read, read_bytes = await self._read(receive)
        scope["state"][BODY_BYTES] = read_bytes
        if read_bytes > self._limit_bytes:
            refusal = PayloadTooLarge(f"A body may have {self._limit_bytes} bytes at the most.")
            answer = refusal_problem(refusal, scope["state"]["request_id"], self._clock())
            await answer(scope, receive, send)
            return

        async def replayed() -> Message:
            return read.popleft() if read else await receive()

        await self._app(scope, replayed, send)

    async def _read(self, receive: Receive) -> tuple[deque[Message], int]:
        messages: deque[Message] = deque()
        read_bytes = 0
        while True:
            message = await receive()
            messages.append(message)
            read_bytes += len(message.get("body", b""))
            if read_bytes > self._limit_bytes or not message.get("more_body", False):
                return messages, read_bytes


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )
