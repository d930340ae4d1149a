"""Ending a server that an earlier run left behind, and nothing else.

A pid proves nothing: it is reused. A process is ours only if, at the same moment, its program is a
`postgres`, its working directory is our data directory, and it holds our server lock open, which
only the server and its children can have inherited. A descriptor of the process is taken first and
the signal goes through it, so the pid cannot change hands between the proof and the signal.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from backend.app.embedded.errors import LeftoverServer
from backend.app.embedded.home import Home, open_private, try_lock

_ALONE_SECONDS_MAX = 2.0
_FAST_SHUTDOWN_SECONDS_MAX = 15.0
_KILLED_SECONDS_MAX = 5.0
_POLL_SECONDS = 0.01


def take_server_lock(home: Home) -> int:
    """Return the server lock once no process of an earlier server is left.

    Raises:
        LeftoverServer: one is left, and it does not end or cannot be proved to be ours.
    """
    descriptor = open_private(home.server_lock)
    try:
        _clear(home, descriptor)
    except LeftoverServer:
        os.close(descriptor)
        raise
    return descriptor


def _clear(home: Home, descriptor: int) -> None:
    # After a killed server its children notice within moments, and end by themselves.
    if _locked_within(descriptor, _ALONE_SECONDS_MAX if _postmaster_is_gone(home) else 0):
        return
    with _proved(home) as ours:
        postmaster = ours.get(postmaster_pid(home))
        if postmaster is not None:
            signal.pidfd_send_signal(postmaster, signal.SIGINT)
            if _locked_within(descriptor, _FAST_SHUTDOWN_SECONDS_MAX):
                return
    with _proved(home) as ours:
        # Not a loss: what was acknowledged is in the write-ahead log.
        for one in ours.values():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(one, signal.SIGKILL)
        if _locked_within(descriptor, _KILLED_SECONDS_MAX):
            return
    raise LeftoverServer(
        f"A PostgreSQL of an earlier run still holds {home.data}"
        f" (its postmaster.pid says process {postmaster_pid(home)}),"
        " and we could not end it. Stop it, then start again."
    )


def _locked_within(descriptor: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not try_lock(descriptor):
        if time.monotonic() >= until:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def postmaster_pid(home: Home) -> int:
    """Read the pid the server wrote down; 0 where there is none. It may be stale."""
    with contextlib.suppress(OSError, ValueError):
        return int((home.data / "postmaster.pid").read_bytes().split(b"\n")[0])
    return 0


def _postmaster_is_gone(home: Home) -> bool:
    with _proved(home) as ours:
        return postmaster_pid(home) not in ours


@contextlib.contextmanager
def _proved(home: Home) -> Iterator[dict[int, int]]:
    """Yield every process proved to be ours: its pid, and a descriptor that cannot be recycled."""
    with contextlib.ExitStack() as stack:
        ours: dict[int, int] = {}
        for pid in _pids():
            with contextlib.suppress(OSError):
                descriptor = os.pidfd_open(pid)
                stack.callback(os.close, descriptor)
                if is_ours(home, pid):
                    ours[pid] = descriptor
        yield ours


def _pids() -> list[int]:
    if sys.platform != "linux":
        return []
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def is_ours(home: Home, pid: int) -> bool:
    """Say whether a process is proved to belong to the server of this directory."""
    process = Path("/proc") / str(pid)
    try:
        return (
            (process / "exe").readlink().name.removesuffix(" (deleted)") == "postgres"
            and (process / "cwd").samefile(home.data)
            and _holds_open(process, home.server_lock)
        )
    except OSError:
        return False


def _holds_open(process: Path, file: Path) -> bool:
    wanted = file.stat()
    for descriptor in (process / "fd").iterdir():
        with contextlib.suppress(OSError):
            if os.path.samestat(descriptor.stat(), wanted):
                return True
    return False
