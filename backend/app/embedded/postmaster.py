"""One running server: begun, found ready, ended. One thread owns it from birth to burial.

Only that thread signals it, and only before it has collected its exit status: until then the
kernel cannot give the pid to anybody else.
"""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable

from backend.app.embedded.account import Account
from backend.app.embedded.binaries import Binaries
from backend.app.embedded.cluster import (
    PRIVATE_LOG,
    data_argument,
    server_environment,
    start_failure,
)
from backend.app.embedded.elsewhere import SocketDirectory
from backend.app.embedded.errors import ServerDidNotStart
from backend.app.embedded.home import Home, open_log

# Replaying a long log after a crash takes its time, and is not a failure.
_READY_SECONDS_MAX = 300.0
_READY_POLL_SECONDS = 0.005
_READY_LINE = 7
_STOPPED_SECONDS_MAX = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))

_SETTINGS = (
    "listen_addresses=",
    "port=5432",
    "unix_socket_permissions=0700",
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "timezone=UTC",
    "log_timezone=UTC",
    # A week of logs, each day over the one of the week before.
    "logging_collector=on",
    "log_directory=log",
    "log_filename=postgresql-%a.log",
    "log_truncate_on_rotation=on",
    "log_rotation_age=1d",
    "log_rotation_size=0",
    *PRIVATE_LOG,
)


class Postmaster:
    """The server's first process."""

    def __init__(self, home: Home, process: "subprocess.Popen[bytes]") -> None:
        self._home = home
        self._process = process

    @classmethod
    def begin(
        cls, home: Home, binaries: Binaries, account: Account, socket: SocketDirectory, lock: int
    ) -> "Postmaster":
        """Start the server. The caller holds the server lock, so there is no other."""
        socket.clear(account)
        settings = [part for one in _SETTINGS for part in ("-c", one)]
        data = data_argument(account, home.data)
        with open_log(home.start_log) as log:
            process = subprocess.Popen(  # noqa: S603 - our own program, no shell
                binaries.command(
                    account, "postgres", "-D", data, "-k", socket.server_name, *settings
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=home.data,
                env=server_environment(),
                pass_fds=(lock,),
                # The terminal's Ctrl-C is for us; we end the server when we are done with it.
                start_new_session=True,
            )
        return cls(home, process)

    def wait_until_ready(self, is_stopping: Callable[[], bool]) -> None:
        """Return once the server takes connections, or we are asked to stop.

        Raises:
            ServerDidNotStart: it ended, or took too long.
            DiskFull: it ended for want of space.
        """
        until = time.monotonic() + _READY_SECONDS_MAX
        while not self._is_ready() and not is_stopping():
            if self.has_ended():
                raise start_failure(self._home, "PostgreSQL ended while starting")
            if time.monotonic() > until:
                raise ServerDidNotStart(
                    f"PostgreSQL was not ready within {_READY_SECONDS_MAX:.0f} s."
                    f" Its own words are in {self._home.data / 'log'}."
                )
            time.sleep(_READY_POLL_SECONDS)

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            # Bytes: a line in it is a path.
            lines = (self._home.data / "postmaster.pid").read_bytes().split(b"\n")
            return (
                lines[0] == b"%d" % self._process.pid
                and len(lines) > _READY_LINE
                and lines[_READY_LINE].strip() == b"ready"
            )
        return False

    def has_ended(self) -> bool:
        """Say whether the server's first process is gone."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """End the server: politely, then firmly; every wait is bounded."""
        for number, seconds in _STOPPED_SECONDS_MAX:
            self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
                return
