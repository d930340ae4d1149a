"""The sandbox on a real loopback port, for every test that speaks to an exchange.

with running_sandbox(now_ms=clock) as sandbox:
    sandbox.url("okx"), sandbox.account("okx", "full").keys
"""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp

from backend.app.enums import Environment
from backend.app.exchanges.connector import ConnectorSettings
from backend.app.exchanges.outbound import OutboundLimits
from backend.app.exchanges.registry import dialect
from backend.app.exchanges.wire import SigningKeys, WireRequest
from backend.app.sandbox.accounts import EXCHANGES, SeededAccount
from backend.app.sandbox.app import create_sandbox_app, unix_now_ms

SEED = "a seed for tests, not for keeping"
# Whoever asks the sandbox waits as long as a busy machine may take.
PATIENT = OutboundLimits(
    connect_seconds=60.0, read_seconds=60.0, total_seconds=60.0, waiting_seconds=60.0
)
_START_SECONDS_MAX = PATIENT.total_seconds
_IDLE_SECONDS_MAX = 3600
_ANSWER_SECONDS_MAX = PATIENT.total_seconds


@dataclass(frozen=True)
class RunningSandbox:
    """Where the sandbox listens, and who has an account there."""

    base_url: str
    accounts: tuple[SeededAccount, ...]

    def url(self, exchange: str) -> str:
        """Return what stands for an exchange's scheme and host."""
        return f"{self.base_url}/{exchange}"

    def account(self, exchange: str, name: str) -> SeededAccount:
        """Return a seeded account by its name."""
        return next(a for a in self.accounts if (a.exchange, a.name) == (exchange, name))

    def ask(
        self,
        exchange: str,
        keys: SigningKeys | None,
        method: str,
        target: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        now_ms: int | None = None,
    ) -> tuple[int, str]:
        """Send one request, signed by the exchange's own dialect where keys are given."""
        path, _, query = target.partition("?")
        request = WireRequest(method, path, query, dict(headers or {}), body)
        if keys is not None:
            at_ms = unix_now_ms() if now_ms is None else now_ms
            request = dialect(exchange).sign(request, keys, at_ms)
        return self.send(f"/{exchange}", request)

    def send(self, prefix: str, request: WireRequest) -> tuple[int, str]:
        """Send a request as it stands and return status and body."""
        target = prefix + request.path + (f"?{request.query}" if request.query else "")
        connection = HTTPConnection(urlsplit(self.base_url).netloc, timeout=_ANSWER_SECONDS_MAX)
        with closing(connection):
            connection.request(request.method, target, request.body, dict(request.headers))
            answer = connection.getresponse()
            return answer.status, answer.read().decode()


def patient(url: str) -> ConnectorSettings:
    """Return the settings of a connector to a sandbox, or to what stands for one."""
    return ConnectorSettings(Environment.SANDBOX, url, PATIENT, PATIENT.total_seconds)


@contextmanager
def running_sandbox(
    now_ms: Callable[[], int] = unix_now_ms, exchanges: tuple[str, ...] = EXCHANGES
) -> Iterator[RunningSandbox]:
    """Serve the sandbox by uvicorn in a thread of its own until the block ends."""
    app = create_sandbox_app(SEED, now_ms, exchanges)
    # The protocol is named: asyncio lets answers leave at once only where it reads TCP.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        server = uvicorn.Server(sandbox_config(app))
        thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=[listener])), name="sandbox"
        )
        thread.start()
        try:
            _await_start(server, thread)
            yield RunningSandbox(f"http://127.0.0.1:{port}", tuple(app.state.accounts))
        finally:
            server.should_exit = True
            thread.join(_START_SECONDS_MAX)


def sandbox_config(app: ASGIApp) -> uvicorn.Config:
    """Return how a sandbox is served that never closes a connection its client may use again."""
    return uvicorn.Config(
        app,
        log_config=None,
        lifespan="off",
        access_log=False,
        timeout_keep_alive=_IDLE_SECONDS_MAX,
    )


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_SECONDS_MAX
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the sandbox did not start")
        time.sleep(0.01)
