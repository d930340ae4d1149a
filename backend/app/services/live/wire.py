"""What a connection is to those who tell it something. `websocket_wire.py` has the real one."""

from collections.abc import Callable
from typing import Protocol


class Wire(Protocol):
    """Takes frames without waiting."""

    def on_writable(self, flush: Callable[[], None]) -> None:
        """Call this whenever the peer takes more again."""
        ...

    def write(self, frames: bytes) -> bool:
        """Write whole frames, unless the peer has not yet taken what was written before."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Say why, and end soon even if the peer does not listen."""
        ...
