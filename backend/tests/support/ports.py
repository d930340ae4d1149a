"""Where what a test starts listens: at whatever is free, or at one place from start to start."""

import itertools
import os
import random
import socket
from contextlib import suppress
from typing import Final

# The house takes its ports itself, before anything else, and says which it took.
ANY_PORTS: Final = dict.fromkeys(
    ("API_PORT", "SANDBOX_PORT", "PRICES_PORT", "SETTLEMENT_PORT", "ENGINE_PORT"), "0"
)

# Below what the kernel hands out to whoever asks for any port, and to every connection that is
# made: those would take a port that is free between its choice and its use, or while what listens
# there is down. Each process of a run chooses from a share of its own.
_FIRST: Final = 20_000
_SHARE: Final = 1_000
_SHARES: Final = 12


def _shuffled_share() -> list[int]:
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _SHARES
    first = _FIRST + number * _SHARE
    # Another run on this machine begins elsewhere.
    return random.sample(range(first, first + _SHARE), _SHARE)


_PORTS: Final = itertools.cycle(_shuffled_share())


def lasting_port() -> int:
    """Return a port that nobody takes meanwhile, for what begins to listen later, or again."""
    for port in itertools.islice(_PORTS, _SHARE):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise RuntimeError("every port of this process' share is taken")
