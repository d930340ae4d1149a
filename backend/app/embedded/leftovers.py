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
        _wait_for_lock(home, descriptor)
        _remove_stale_pid_file(home)
    except LeftoverServer:
        os.close(descriptor)
        raise
    return descriptor


def _wait_for_lock(home: Home, descriptor: int) -> None:
    if try_lock(descriptor):
        return
    asked = _signal(home, signal.SIGINT, postmaster_only=True)
    # Without their first process the others notice within moments, and end by themselves.
    if _locked_within(descriptor, _FAST_SHUTDOWN_SECONDS_MAX if asked else _ALONE_SECONDS_MAX):
        return
    # No loss: what was acknowledged is in the write-ahead log.
    _signal(home, signal.SIGKILL, postmaster_only=False)
    if _locked_within(descriptor, _KILLED_SECONDS_MAX):
        return
    raise LeftoverServer(
        f"A PostgreSQL of an earlier run still holds {home.data}"
        f" (its postmaster.pid says process {postmaster_pid(home)}),"
        " and we could not end it. Stop it, then start again."
    )


def _remove_stale_pid_file(home: Home) -> None:
    # PostgreSQL would not start while the pid in it, recycled, is alive in the same account. No
    # server of ours is; one that somebody started by hand must keep its file.
    pid = postmaster_pid(home)
    if runs_in(home, pid):
        raise LeftoverServer(
            f"Process {pid} is a PostgreSQL on {home.data} that we did not start."
            " Stop it, then start again."
        )
    if sys.platform == "linux":
        (home.data / "postmaster.pid").unlink(missing_ok=True)


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


def _signal(home: Home, number: signal.Signals, *, postmaster_only: bool) -> bool:
    """Send a signal to what is proved to be ours; say whether there was anything."""
    candidates = [postmaster_pid(home)] if postmaster_only else _pids()
    signalled = [pid for pid in candidates if _signal_if_ours(home, pid, number)]
    return bool(signalled)


def _signal_if_ours(home: Home, pid: int, number: signal.Signals) -> bool:
    # Only Linux can prove it. Where a call is missing or forbidden nothing is signalled.
    if sys.platform != "linux" or pid <= 0:
        return False
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not is_ours(home, pid):
            return False
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def _pids() -> list[int]:
    if sys.platform != "linux":
        return []
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def runs_in(home: Home, pid: int) -> bool:
    """Say whether a process is a PostgreSQL working in our data directory."""
    process = Path("/proc") / str(pid)
    try:
        program = (process / "exe").readlink().name.removesuffix(" (deleted)")
        return program == "postgres" and (process / "cwd").samefile(home.data)
    except OSError:
        return False


def is_ours(home: Home, pid: int) -> bool:
    """Say whether a process is proved to belong to a server we started in this directory."""
    try:
        return runs_in(home, pid) and _holds_open(Path("/proc") / str(pid), home.server_lock)
    except OSError:
        return False


def _holds_open(process: Path, file: Path) -> bool:
    wanted = file.stat()
    for descriptor in (process / "fd").iterdir():
        with contextlib.suppress(OSError):
            if os.path.samestat(descriptor.stat(), wanted):
                return True
    return False
