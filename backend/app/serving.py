"""Several apps in one event loop, each on a socket of its own, stopped together."""

import asyncio
import gc
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from backend.app.config import ServerSettings
from backend.app.errors import ConfigurationError
from backend.app.websocket_wire import (
    FRAME_BYTES_MAX,
    PING_SECONDS,
    PONG_SECONDS_MAX,
    WebsocketWire,
)

_BACKLOG: Final = 2048
IDLE_SECONDS_MAX: Final = 75
"""How long a connection is kept without a request: longer than clients keep one.

Whoever closes first resets what the other sends at that moment, and an order that was reset is not
simply sent again. aiohttp keeps one for 15 seconds, nginx for 60.
Source: aiohttp 3.14 client_reference, `keepalive_timeout`; nginx, `keepalive_timeout` of upstreams.
"""
_STARTED_POLL_SECONDS: Final = 0.01


@dataclass(frozen=True)
class Served:
    """One app on one listening socket."""

    name: str
    app: ASGIApp
    listener: socket.socket

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self.listener.getsockname()[:2]
        return f"http://{host}:{port}"


@contextmanager
def listening(host: str, port: int, variable: str) -> Iterator[socket.socket]:
    """Take a port before anything else is started.

    Raises:
        ConfigurationError: the port is taken or may not be used; the text names `variable`.
    """
    try:
        listener = _bound(host, port)
    except OSError as error:
        raise ConfigurationError(
            f"Port {port} on {host} cannot be used ({error.strerror}). "
            f"Stop what holds it, or set {variable} to another port."
        ) from None
    with listener:
        listener.setblocking(False)
        yield listener


def _bound(host: str, port: int) -> socket.socket:
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    # Named as TCP: for a socket of protocol 0 asyncio leaves Nagle's algorithm on, and every
    # answer of two packets waits 40 ms.
    listener = socket.socket(family, kind, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


async def serve(
    served: Sequence[Served],
    settings: ServerSettings,
    *,
    on_ready: Callable[[], None],
    on_stop: Callable[[], None],
) -> None:
    """Serve until SIGINT or SIGTERM, then let requests under way finish.

    A second signal does not wait for them. If one app ends by itself, all end.
    """
    servers = [_Server(uvicorn_config(one.app, settings)) for one in served]
    stop = asyncio.Event()
    with _signals(stop, servers), set_aside():
        running = [
            asyncio.create_task(server.serve(sockets=[one.listener]), name=one.name)
            for server, one in zip(servers, served, strict=True)
        ]
        stopping = asyncio.create_task(stop.wait())
        await _until_started(servers, running)
        on_ready()
        await asyncio.wait([*running, stopping], return_when=asyncio.FIRST_COMPLETED)
        on_stop()
        stopping.cancel()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*running)


@contextmanager
def set_aside() -> Iterator[None]:
    """Let Python's collector pass over what was built before the work began, until it is done.

    It looked at all of it again every few thousand requests, and who came then waited for it: the
    slowest of a hundred withdrawals a third longer (bench/withdrawals.py).
    Source: Python's documentation of `gc.freeze`.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class _Server(uvicorn.Server):
    """A server among several: signals belong to all of them together."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def uvicorn_config(app: ASGIApp, settings: ServerSettings) -> uvicorn.Config:
    """Return how the house serves an app, for whoever runs the server."""
    return uvicorn.Config(
        app,
        # Our own logging is configured already; uvicorn's access log would print URLs.
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        ws=WebsocketWire,
        ws_max_size=FRAME_BYTES_MAX,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PONG_SECONDS_MAX,
        # A frame is made once for all who get it; compressed, it would be made for each.
        ws_per_message_deflate=False,
        timeout_keep_alive=IDLE_SECONDS_MAX,
        timeout_graceful_shutdown=settings.shutdown_grace_seconds,
    )


async def _until_started(
    servers: Sequence[_Server], running: Sequence["asyncio.Task[None]"]
) -> None:
    while not all(server.started for server in servers):
        if any(task.done() for task in running):
            return
        await asyncio.sleep(_STARTED_POLL_SECONDS)


@contextmanager
def _signals(stop: asyncio.Event, servers: Sequence[_Server]) -> Iterator[None]:
    def asked() -> None:
        if stop.is_set():
            for server in servers:
                server.force_exit = True
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
