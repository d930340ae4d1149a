"""A real receiver of webhooks on a loopback port, which does what a test tells it to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from multidict import CIMultiDict

# Who sends may be a process that is only just starting, on a busy machine.
_SECONDS_MAX = 120


@dataclass(frozen=True)
class Received:
    """One request, byte for byte."""

    path: str
    headers: CIMultiDict[str]
    body: bytes

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]


Answer = Callable[[Received], web.Response]


def _fine(_: Received) -> web.Response:
    return web.Response(status=204)


@dataclass
class Receiver:
    """What came in. `answer` may be changed at any time; `stalls` keeps requests until `go_on`."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answer: Answer = _fine
    stalls: bool = False
    at_once_max: int = 0
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    _inside: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self._inside += 1
        self.at_once_max = max(self.at_once_max, self._inside)
        try:
            came = Received(request.raw_path, request.headers.copy(), await request.read())
            async with self._arrived:
                self.received.append(came)
                self._arrived.notify_all()
            if self.stalls:
                await self.go_on.wait()
            return self.answer(came)
        finally:
            self._inside -= 1

    async def wait_for(self, count: int) -> list[Received]:
        """Wait until so many requests came in."""
        async with asyncio.timeout(_SECONDS_MAX), self._arrived:
            await self._arrived.wait_for(lambda: len(self.received) >= count)
        return self.received

    def says(self, status: int, **headers: str) -> None:
        """Answer so from now on."""
        self.answer = lambda _: web.Response(status=status, headers=headers)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Run a receiver until the block ends."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    receiver.url = f"http://{host}:{port}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()
