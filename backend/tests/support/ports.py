"""Where what a test starts listens: at whatever is free, or at one place from start to start."""

import socket
from types import TracebackType
from typing import Final, Self

# The house takes its ports itself, before anything else, and says which it took.
ANY_PORTS: Final = dict.fromkeys(
    ("API_PORT", "SANDBOX_PORT", "PRICES_PORT", "SETTLEMENT_PORT", "ENGINE_PORT"), "0"
)


class KeptPort:
    """A port that nobody else is given, also while what listens there is not there.

    A port that was only looked up is the next one's who asks for any, or the near end of the next
    connection anybody makes.
    """

    def __init__(self) -> None:
        self._keeper = socket.socket()
        # Two may hold one port, if both say so and one of them at most listens.
        self._keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._keeper.bind(("127.0.0.1", 0))
        self.number: int = self._keeper.getsockname()[1]

    def let_go(self) -> None:
        """Let others have it."""
        self._keeper.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.let_go()
