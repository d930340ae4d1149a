"""One WebSocket of the sandbox: what is said to it waits in a bounded queue, or it is closed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from backend.app.exchanges.answers.rendering import json_body

WAITING_MAX: Final = 1_000
TOO_SLOW: Final = 1008
GOING_AWAY: Final = 1011


class SocketOutbox:
    """Says things in their order, and never makes whoever says them wait."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._waiting: asyncio.Queue[Any] = asyncio.Queue(WAITING_MAX)
        self._too_slow = asyncio.Event()

    def say(self, message: Any) -> None:
        """Say something; who does not read as fast as there is to say is closed."""
        try:
            self._waiting.put_nowait(message)
        except asyncio.QueueFull:
            self._too_slow.set()

    async def run(self) -> None:
        """Write what is said until the peer is gone, or too slow."""
        writing = asyncio.create_task(self._write())
        slow = asyncio.create_task(self._too_slow.wait())
        try:
            await asyncio.wait((writing, slow), return_when=asyncio.FIRST_COMPLETED)
        finally:
            writing.cancel()
            slow.cancel()
        await close(self._socket, TOO_SLOW)

    async def _write(self) -> None:
        while True:
            message = await self._waiting.get()
            await self._socket.send_text(json_body(message).decode())


async def texts(socket: WebSocket) -> AsyncIterator[str]:
    """Yield what a peer says, until it is gone."""
    while True:
        try:
            yield await socket.receive_text()
        except (WebSocketDisconnect, KeyError):
            # The second is a frame of bytes: no peer of ours sends any.
            return


async def close(socket: WebSocket, code: int) -> None:
    """Close a connection, unless it is closed."""
    try:
        await socket.close(code)
    except (RuntimeError, WebSocketDisconnect):
        return
