"""What it costs to tell a thousand WebSockets something ten times a second, and how late it comes.

    python -m bench.websocket [listeners]

Beside it, in the same run, a bare `websockets` server that broadcasts the same bytes. Both stand
alone on one core (the listeners, PostgreSQL and this script have the rest) and neither compresses.
Ours writes each message to PostgreSQL first, watches sessions and sweeps meanwhile, as always. The
delay runs from before that transaction to the bytes at the listener.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from time import monotonic_ns
from typing import Any

import uvloop

from backend.app.migrations import migrate
from bench._live_server import UPDATES_PER_SECOND
from bench._support import api_environment, judged, postgres

_LISTENERS = 1_000
_SECONDS = 5.0
_ROUNDS = 3
_CPU_GOAL = 1.5
_P99_GOAL_MS = 100.0
_CONNECTED_SECONDS_MAX = 240.0
_AT_ONCE = 10
_SERVER_CORE, *_OTHER_CORES = sorted(os.sched_getaffinity(0))
_HELLO = (
    "GET /api/v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n\r\n"
).encode()


class _Listener(asyncio.Protocol):
    """One connection, as cheap as can be: it answers what it must and notes when updates come."""

    def __init__(self, ticket: str | None) -> None:
        self._asks = []
        if ticket is not None:
            self._asks = [
                {"op": "login", "ticket": ticket},
                {"op": "subscribe", "channel": "prices", "after": 0},
            ]
        self._rest = b""
        self._is_open = False
        self.is_ready = asyncio.Event()
        self.is_lost = False
        self.delays_ms: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        transport.write(_HELLO)  # type: ignore[attr-defined]

    def connection_lost(self, _error: Exception | None) -> None:
        self.is_lost = True

    def data_received(self, data: bytes) -> None:
        now = monotonic_ns()
        self._rest += data
        if not self._is_open:
            head, end, self._rest = self._rest.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            assert head.startswith(b"HTTP/1.1 101 "), head
            self._is_open = True
            self._ask()
        while (length := _frame_length(self._rest)) is not None:
            frame, self._rest = self._rest[:length], self._rest[length:]
            self._hear(frame, now)

    def end(self) -> None:
        self._transport.abort()

    def _hear(self, frame: bytes, now: int) -> None:
        made_at = frame.find(b'"at":')
        if made_at >= 0:
            self.delays_ms.append((now - int(frame[made_at + 5 : -2])) / 1e6)
        elif frame[0] == 0x89:
            self._transport.write(b"\x8a\x84" + bytes(4) + frame[2:])
        else:
            assert frame[0] == 0x81, frame
            assert b"error" not in frame, frame
            self._ask()

    def _ask(self) -> None:
        if not self._asks:
            self.is_ready.set()
            return
        text = json.dumps(self._asks.pop(0)).encode()
        # A mask of zeros is a mask.
        self._transport.write(b"\x81" + bytes([0x80 | len(text)]) + bytes(4) + text)


def _frame_length(data: bytes) -> int | None:
    if len(data) < 4:
        return None
    length = data[1] + 2 if data[1] < 126 else int.from_bytes(data[2:4], "big") + 4
    return length if len(data) >= length else None


@contextmanager
def _server(kind: str, listeners: int, environment: dict[str, str]) -> Iterator[Any]:
    command = ["taskset", "-c", str(_SERVER_CORE), sys.executable]
    command += ["-m", "bench._live_server", kind, str(listeners)]
    with subprocess.Popen(
        command,
        env={**os.environ, **environment, "LOG_LEVEL": "WARNING"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.stdin.close()  # type: ignore[union-attr]
            process.wait()


def _cpu_seconds(pid: int) -> float:
    """Return what all threads of a process have had of the processor."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


async def _measured(process: Any, listeners: int) -> tuple[list[float], list[float]]:
    """Return the processor's seconds for each update delivered, by round, and every delay."""
    ready = json.loads(process.stdout.readline())
    loop, crowd = asyncio.get_running_loop(), []
    tickets = ready["tickets"] or [None] * listeners
    async with asyncio.timeout(_CONNECTED_SECONDS_MAX):
        for first in range(0, listeners, _AT_ONCE):
            some = [_Listener(ticket) for ticket in tickets[first : first + _AT_ONCE]]
            for each in some:
                await loop.create_connection(lambda each=each: each, "127.0.0.1", ready["port"])
            await asyncio.gather(*(each.is_ready.wait() for each in some))
            crowd += some
    process.stdin.write("go\n")
    process.stdin.flush()
    await asyncio.sleep(1)
    for each in crowd:
        each.delays_ms.clear()
    costs = []
    for _ in range(_ROUNDS):
        before, cpu_before = _delivered(crowd), _cpu_seconds(process.pid)
        await asyncio.sleep(_SECONDS)
        costs.append((_cpu_seconds(process.pid) - cpu_before) / (_delivered(crowd) - before))
    lost = sum(each.is_lost for each in crowd)
    assert lost == 0, f"{lost} listeners were closed"
    for each in crowd:
        each.end()
    return costs, [delay for each in crowd for delay in each.delays_ms]


def _delivered(crowd: list[_Listener]) -> int:
    return sum(len(each.delays_ms) for each in crowd)


def _run(kind: str, listeners: int, environment: dict[str, str]) -> tuple[float, float, float]:
    with (
        _server(kind, listeners, environment) as process,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        costs, delays = runner.run(_measured(process, listeners))
    cuts = quantiles(delays, n=100)
    return median(costs) * 1e6, cuts[49], cuts[98]


def main() -> None:
    listeners = int(sys.argv[1]) if len(sys.argv) > 1 else _LISTENERS
    # What is started from here on stays off the server's core.
    os.sched_setaffinity(0, _OTHER_CORES or {_SERVER_CORE})
    for crowd in (listeners, listeners // 10):
        with postgres() as url:
            migrate(url)
            environment = api_environment(url, 0)
            bare = _run("bare", crowd, environment)
            ours = _run("strongroom", crowd, environment)
        print(f"{crowd} listeners, {UPDATES_PER_SECOND} updates a second each, one core")
        for name, (cost, p50, p99) in (("bare websockets", bare), ("strongroom", ours)):
            cpu = f"{cost:>6.1f} us of the core each"
            print(f"  {name:<16} {cpu}   p50 {p50:>6.1f} ms  p99 {p99:>6.1f} ms")
        if crowd == listeners:
            print(f"  CPU      {judged(ours[0] / bare[0], _CPU_GOAL, at_least=False)}")
            verdict = "met" if ours[2] <= _P99_GOAL_MS else "MISSED"
            print(f"  p99     {ours[2]:>6.1f} ms goal <= {_P99_GOAL_MS:.0f} ms {verdict}")
        else:
            # Writing and watching cost the same for few as for many.
            print(f"  CPU      {ours[0] / bare[0]:>6.2f}x")


if __name__ == "__main__":
    main()
