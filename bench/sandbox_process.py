"""The sandbox in a process of its own, so that a bench measures only our side.

python -m bench.sandbox_process <socket descriptor> [<slow exchange> <delay seconds>]
"""

import asyncio
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from backend.app.sandbox.accounts import SeededAccount, seeded_accounts
from backend.app.sandbox.app import create_sandbox_app

_START_SECONDS_MAX = 20.0


@dataclass(frozen=True)
class BenchSandbox:
    """Where it listens and who has an account there."""

    base_url: str
    accounts: tuple[SeededAccount, ...]

    def account(self, exchange: str, name: str = "full") -> SeededAccount:
        return next(a for a in self.accounts if (a.exchange, a.name) == (exchange, name))


@contextmanager
def sandbox_process(slow: str = "", delay_seconds: float = 0.0) -> Iterator[BenchSandbox]:
    """Run the sandbox until the block ends; one exchange may be slow."""
    seed = secrets.token_hex(16)
    # With the protocol named, asyncio turns Nagle's delay off on what it accepts.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(256)
        port = listener.getsockname()[1]
        command = [sys.executable, "-m", "bench.sandbox_process", str(listener.fileno())]
        process = subprocess.Popen(
            [*command, slow, str(delay_seconds)],
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdin is not None
            process.stdin.write(seed + "\n")
            process.stdin.flush()
            _await_answer(port)
            accounts = tuple(seeded_accounts(seed.encode(), time.time_ns() // 1_000_000))
            yield BenchSandbox(f"http://127.0.0.1:{port}", accounts)
        finally:
            process.terminate()
            process.wait()
            process.stdin.close()


def _await_answer(port: int) -> None:
    # The socket listens already, so the first request waits for the server by itself.
    with socket.create_connection(("127.0.0.1", port), timeout=_START_SECONDS_MAX) as asking:
        asking.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        asking.recv(1)


def _serve(descriptor: int, slow: str, delay_seconds: float) -> None:
    app = create_sandbox_app(sys.stdin.readline().strip())

    async def delayed(scope, receive, send):  # type: ignore[no-untyped-def]
        if slow and scope["path"].startswith(f"/{slow}/"):
            await asyncio.sleep(delay_seconds)
        await app(scope, receive, send)

    config = uvicorn.Config(delayed, log_config=None, access_log=False, lifespan="off")
    listener = socket.socket(fileno=descriptor)
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    _serve(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
