"""An accepted WebSocket as the services know it."""

from typing import cast

from starlette.websockets import WebSocket

from backend.app.services.live.wire import Wire
from backend.app.websocket_wire import WIRE_EXTENSION


class WebsocketPeer:
    """Reads through ASGI and writes to the wire; `serving.py` brings the server that has one."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._is_gone = False
        self.wire = cast("Wire", socket.scope["extensions"][WIRE_EXTENSION]["wire"])

    async def receive(self) -> str | bytes | None:
        """Return the next frame, None when the peer is gone."""
        if self._is_gone:
            return None
        event = await self._socket.receive()
        self._is_gone = event["type"] == "websocket.disconnect"
        text: str | None = event.get("text")
        data: bytes | None = event.get("bytes")
        return data if text is None else text


async def accepted(socket: WebSocket) -> WebsocketPeer:
    """Accept a handshake."""
    await socket.accept()
    return WebsocketPeer(socket)
