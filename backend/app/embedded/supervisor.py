"""Our PostgreSQL: started, watched, started again when it dies, stopped.

The kernel ends the server when the *thread* that began it ends. So one thread begins it, watches
it and stays for as long as it runs; event loops may come and go.
"""

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from backend.app.embedded.account import choose_account
from backend.app.embedded.attachment import service_url
from backend.app.embedded.binaries import find_binaries
from backend.app.embedded.cluster import ensure_cluster
from backend.app.embedded.elsewhere import Elsewhere
from backend.app.embedded.errors import EmbeddedPostgresError
from backend.app.embedded.home import Home, refusal_for
from backend.app.embedded.leftovers import take_server_lock
from backend.app.embedded.postmaster import Postmaster

_WATCH_SECONDS = 0.1
_RESTART_DELAY_SECONDS_MAX = 5.0
_STOP_SECONDS_MAX = 60.0
_logger = logging.getLogger(__name__)


class EmbeddedPostgres:
    """One PostgreSQL in one directory of its own."""

    def __init__(self, home: Path) -> None:
        self._home = Home(home.absolute())
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    async def start(self) -> str:
        """Start the server and return its URL for SQLAlchemy; it is ready when this returns.

        If the server dies later it is started again, on the same URL, until `stop`.

        Raises:
            EmbeddedPostgresError: a kind of it names what is wrong and the way out.
        """
        if self._thread is not None:
            raise RuntimeError("started already")
        started: Future[str] = Future()
        self._stopping.clear()
        self._thread = threading.Thread(
            target=self._run, args=(started,), name="embedded-postgres", daemon=True
        )
        self._thread.start()
        return await asyncio.wrap_future(started)

    async def stop(self) -> None:
        """Stop the server, waiting for it. Harmless when it is not running."""
        thread = self._thread
        if thread is None:
            return
        self._stopping.set()
        await asyncio.to_thread(thread.join, _STOP_SECONDS_MAX)
        self._thread = None

    def _run(self, started: "Future[str]") -> None:
        # A caller that stops waiting does not undo the start; it calls `stop`.
        started.set_running_or_notify_cancel()
        with contextlib.ExitStack() as held:
            try:
                machine = _Machine(self._home, held)
                server = machine.begin(self._stopping.is_set)
                url = machine.url()
            except BaseException as error:  # noqa: BLE001 - raised again, in the caller's task
                started.set_exception(error)
                return
            started.set_result(url)
            self._watch(machine, server)

    def _watch(self, machine: "_Machine", server: Postmaster) -> None:
        while not self._stopping.wait(_WATCH_SECONDS):
            if server.has_ended():
                _logger.warning("the embedded PostgreSQL ended; starting it again")
                server = self._begin_again(machine) or server
        server.stop()

    def _begin_again(self, machine: "_Machine") -> Postmaster | None:
        # Without end, because the disk may get space again; but no faster than the longest delay.
        delay_seconds = _WATCH_SECONDS
        while not self._stopping.wait(delay_seconds):
            try:
                return machine.begin(self._stopping.is_set)
            except EmbeddedPostgresError as error:
                _logger.warning("the embedded PostgreSQL does not start: %s", error)
                delay_seconds = min(2 * delay_seconds, _RESTART_DELAY_SECONDS_MAX)
        return None


class _Machine:
    """What every start of one supervisor shares: the directory, held, and the way to run in it."""

    def __init__(self, home: Home, held: contextlib.ExitStack) -> None:
        home.prepare()
        held.callback(os.close, home.hold())
        # A server left behind may still use what lies elsewhere.
        os.close(take_server_lock(home))
        self._home = home
        self._account = choose_account(os.geteuid(), home.root, home.cluster)
        elsewhere = Elsewhere(home, self._account)
        elsewhere.remove()
        held.callback(elsewhere.remove)
        self._socket = elsewhere.socket_directory()
        self._binaries = find_binaries().reachable_by(self._account, elsewhere.directory)

    def begin(self, is_stopping: Callable[[], bool]) -> Postmaster:
        """Start the server, making the cluster first where there is none, and wait for it."""
        try:
            lock = take_server_lock(self._home)
            try:
                ensure_cluster(self._home, self._binaries, self._account, lock)
                server = Postmaster.begin(
                    self._home, self._binaries, self._account, self._socket, lock
                )
            finally:
                # From here on the server's own processes hold it, for exactly as long as they live.
                os.close(lock)
        except OSError as error:
            raise refusal_for(error, self._home.root) from None
        try:
            server.wait_until_ready(is_stopping)
        except BaseException:
            server.stop()
            raise
        return server

    def url(self) -> str:
        """Compose the URL the service connects with."""
        return service_url(self._home, self._socket.path)
