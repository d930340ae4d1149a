"""Servers in processes of their own, and one closed-loop client that loads each of them alike."""

import asyncio
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from http.client import HTTPConnection, HTTPException
from itertools import cycle
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import uvloop

from backend.app.embedded import EmbeddedPostgres

READY_SECONDS_MAX = 60.0
_GOOD = (b"HTTP/1.1 200 ", b"HTTP/1.1 201 ")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Load:
    """What one round of load has shown."""

    per_second: float
    p50_ms: float
    p99_ms: float


def middle(rounds: Sequence[Load]) -> Load:
    """Return the median of several rounds, figure by figure."""
    return Load(*(median(values) for values in zip(*map(astuple, rounds), strict=True)))


def judged(ratio: float, goal: float, *, at_least: bool = True) -> str:
    """Return the ratio, the goal, and whether it is met, for a line of output."""
    is_met = ratio >= goal if at_least else ratio <= goal
    sign = ">=" if at_least else "<="
    return f"{ratio:>6.2f}x  goal {sign} {goal}x {'met' if is_met else 'MISSED'}"


def load(port: int, requests: Sequence[bytes | Sequence[bytes]], seconds: float) -> Load:
    """Keep one connection per request busy for a while: send, wait for the answer, send again.

    Where a connection is given several requests, it sends them in turn.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_load(port, requests, seconds))


async def _load(port: int, requests: Sequence[bytes | Sequence[bytes]], seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    clients = [_Client([each] if isinstance(each, bytes) else each) for each in requests]
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]
    started = time.perf_counter()
    for client in clients:
        client.send()
    await asyncio.sleep(seconds)
    elapsed = time.perf_counter() - started
    times_ms = [each for client in clients for each in client.times_ms]
    for client in clients:
        client.stop()
    cuts = quantiles(times_ms, n=100)
    return Load(len(times_ms) / elapsed, cuts[49], cuts[98])


class _Client(asyncio.Protocol):
    """One connection of the closed loop. Anything but a 200 or a 201 ends the bench."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self._requests = cycle(requests)
        self._answer = b""
        self._is_over = False
        self.times_ms: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not asyncio's class of that name.
        self._transport: Any = transport

    def send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._requests))

    def stop(self) -> None:
        self._is_over = True
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head_bytes = self._answer.find(b"\r\n\r\n") + 4
        if head_bytes < 4 or self._is_over:
            return
        length = _LENGTH.search(self._answer, 0, head_bytes)
        assert length is not None, self._answer[:200]
        if len(self._answer) < head_bytes + int(length[1]):
            return
        assert self._answer.startswith(_GOOD), self._answer[:400]
        self.times_ms.append((time.perf_counter() - self._sent_at) * 1000)
        self._answer = b""
        self.send()


def get(path: str, token: str | None = None) -> bytes:
    """Return a GET as it goes over the wire."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n"
    return f"{head}{authorization}\r\n".encode()


def post(path: str, body: object, token: str | None = None) -> bytes:
    """Return a POST of JSON as it goes over the wire."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n{authorization}"
    length = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return (head + length).encode() + content


def cpu_seconds(process: int) -> float:
    """Return the processor time a process has used, in user and kernel mode together.

    Source: proc(5), fields 14 and 15 of /proc/PID/stat; the name before them may hold spaces.
    """
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str], port: int, path: str, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; yields once it answers."""
    # What it logs is written to a file, as in a real installation, and read only after a failure.
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **(environment or {})},
            stdout=log,
            stderr=log,
        )
        try:
            await_answer(process, port, path)
            yield process
        except RuntimeError:
            log.seek(0)
            print(log.read().decode()[-2000:], file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait()


def await_answer(process: subprocess.Popen[bytes], port: int, path: str) -> None:
    """Wait until a server answers 200 on a path."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while process.poll() is None and time.monotonic() < deadline:
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        except (OSError, HTTPException):
            time.sleep(0.005)
        finally:
            connection.close()
    raise RuntimeError(f"{process.args!r} does not answer")


@contextmanager
def postgres() -> Iterator[str]:
    """Run a PostgreSQL of this bench's own and yield its address."""
    with tempfile.TemporaryDirectory(prefix="strongroom-bench-") as directory:
        server = EmbeddedPostgres(Path(directory) / "postgres")
        with asyncio.Runner() as runner:
            url = runner.run(server.start())
            try:
                yield url
            finally:
                runner.run(server.stop())


def api_environment(database_url: str, port: int, redis_url: str | None = None) -> dict[str, str]:
    """Return the settings of an API process, with secrets made on the spot."""
    return {
        "DATABASE_URL": database_url,
        "ENCRYPTION_KEY": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "JWT_SECRET": secrets.token_urlsafe(48),
        "API_PORT": str(port),
        # Counted as always, but never full.
        "RL_MAX_REQUESTS": "1000000",
        **({"REDIS_URL": redis_url} if redis_url else {}),
    }


def strongroom(*words: str) -> list[str]:
    """Return the command of our own program."""
    return [str(Path(sys.executable).with_name("strongroom")), *words]


def bare_app(port: int, body_file: Path | None = None) -> list[str]:
    """Return the command of a bare FastAPI app that answers what the file holds."""
    return [
        sys.executable,
        "-m",
        "bench._bare",
        str(port),
        *([str(body_file)] if body_file else []),
    ]
