"""What one connection has still to be sent, within bounds: nobody waits for a slow peer."""

from collections import deque
from typing import Final

from backend.app.services.live.frames import CloseCode
from backend.app.services.live.wire import Wire

WAITING_WRITES_MAX: Final = 1_000
WAITING_BYTES_MAX: Final = 1024 * 1024


class Outbox:
    """The frames of one connection, in their order. A `Listener`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self.is_closed = False
        wire.on_writable(self._flush)

    def tell(self, frames: bytes) -> None:
        """Send whole frames now or when the peer has taken what was sent before."""
        if self.is_closed or (not self._waiting and self._wire.write(frames)):
            return
        self._waiting.append(frames)
        self._waiting_bytes += len(frames)
        if len(self._waiting) > WAITING_WRITES_MAX or self._waiting_bytes > WAITING_BYTES_MAX:
            self.close(CloseCode.TOO_SLOW)

    def close(self, code: CloseCode) -> None:
        """Send nothing more, and say why."""
        if self.is_closed:
            return
        self.is_closed = True
        self._waiting.clear()
        self._wire.close(int(code), code.reason)

    def _flush(self) -> None:
        while self._waiting and self._wire.write(self._waiting[0]):
            self._waiting_bytes -= len(self._waiting.popleft())
