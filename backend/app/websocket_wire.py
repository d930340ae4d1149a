"""uvicorn's WebSocket, which also takes frames that were made once for many listeners.

ASGI knows one frame at a time, made anew for each connection and handed over by a task of its own.
For a thousand listeners that is most of the work; see bench/websocket.py. So the application is
handed the wire itself, as an extension of the scope, and writes whole frames without waiting.
"""

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState

WIRE_EXTENSION: Final = "strongroom.wire"
FRAME_BYTES_MAX: Final = 4_096
PING_SECONDS: Final = 20.0
PONG_SECONDS_MAX: Final = 20.0
# A peer that does not read would otherwise hold megabytes of the kernel's memory before we notice.
SEND_BUFFER_BYTES: Final = 128 * 1024
# What a peer has to answer a close before it is cut off.
CLOSING_SECONDS_MAX: Final = 5.0


class WebsocketWire(WebSocketsSansIOProtocol):
    """One connection. Its `write` and `close` never wait, and never write past what is taken."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._on_writable: Callable[[], None] | None = None

    def on_writable(self, flush: Callable[[], None]) -> None:
        """Call this whenever the peer takes more again."""
        self._on_writable = flush

    def write(self, frames: bytes) -> bool:
        """Write whole frames, unless the peer has not yet taken what was written before."""
        if self.close_sent or not self.writable.is_set() or self.transport.is_closing():
            return False
        self.transport.write(frames)
        return True

    def close(self, code: int, reason: str) -> None:
        """Say why, and end within `CLOSING_SECONDS_MAX` even if the peer does not listen."""
        if self.close_sent or self.disconnected:
            return
        self.stop_keepalive()
        with suppress(InvalidState):
            self.conn.send_close(code, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        # Wakes the application, which learns of it as of any other end.
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        if self.read_paused:
            # The peer's own close frame is still to come.
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(CLOSING_SECONDS_MAX, self.transport.abort)

    def connection_made(self, transport: Any) -> None:
        """Bound what the kernel takes from us for a peer that does not read."""
        super().connection_made(transport)
        peer = transport.get_extra_info("socket")
        if peer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    def shutdown(self) -> None:
        """End with the server, also if the peer does not read."""
        super().shutdown()
        self.loop.call_later(CLOSING_SECONDS_MAX, self.transport.abort)

    def resume_writing(self) -> None:
        """Let whoever waits write on."""
        super().resume_writing()
        if self._on_writable is not None:
            self._on_writable()

    def keepalive_timeout(self) -> None:
        """End a connection whose peer is gone, also if it never took what was written."""
        super().keepalive_timeout()
        self.loop.call_later(CLOSING_SECONDS_MAX, self.transport.abort)

    async def run_asgi(self) -> None:
        """Hand the application this wire with the rest of the scope."""
        self.scope["extensions"][WIRE_EXTENSION] = {"wire": self}
        await super().run_asgi()
