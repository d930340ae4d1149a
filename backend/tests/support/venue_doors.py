"""The eight doors on the durable venue, listening on loopback in the event loop of the test."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

from backend.app.database import Database
from backend.app.sandbox.app import Venue, create_sandbox_app, unix_now_ms
from backend.app.services.venue.spot_markets import SPOT_SHARD
from backend.app.serving import listening
from backend.tests.support.sandbox import SEED, RunningSandbox, sandbox_config
from backend.tests.support.venue import engine_on, led, running

_POLL_SECONDS = 0.01


@asynccontextmanager
async def doors_on(
    database: Database, now_ms: Callable[[], int] = unix_now_ms
) -> AsyncIterator[RunningSandbox]:
    """Serve the doors on an engine of the spot market, until the block ends."""
    engine = engine_on(database, SPOT_SHARD)
    async with running(engine):
        await led(engine)
        app = create_sandbox_app(SEED, now_ms, venue=Venue(engine, database))
        async with _served(app) as url:
            yield RunningSandbox(url, tuple(app.state.accounts))


@asynccontextmanager
async def _served(app: ASGIApp) -> AsyncIterator[str]:
    with listening("127.0.0.1", 0, "PORT") as listener:
        server = uvicorn.Server(sandbox_config(app))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(_POLL_SECONDS)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving
