"""A venue for tests: an engine that leads until its block ends, and orders made from a seed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random

from backend.app.clock import utc_now
from backend.app.database import Database
from backend.app.repositories.venue_ledger import VenueLedger
from backend.app.services.venue.engine import VenueEngine
from backend.app.venue.commands import NewOrder
from backend.app.venue.orders import Side

_POLL_SECONDS = 0.01
_LEAD_SECONDS_MAX = 60


def engine_on(database: Database) -> VenueEngine:
    """Return an engine of the card market that does nothing yet."""
    return VenueEngine(VenueLedger(database, 0), utc_now)


async def led(engine: VenueEngine) -> None:
    """Wait until an engine leads."""
    async with asyncio.timeout(_LEAD_SECONDS_MAX):
        await engine.led()


@asynccontextmanager
async def running(engine: VenueEngine) -> AsyncIterator[VenueEngine]:
    """Let an engine work as its worker would, until it is stopped at the end of the block."""

    async def work() -> None:
        while True:
            await engine.tick()
            await asyncio.sleep(_POLL_SECONDS)

    task = asyncio.create_task(work())
    try:
        yield engine
    finally:
        await engine.stop()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await engine.close()


def seeded_orders(count: int, seed: int = 7, *, traders: int = 20) -> list[NewOrder]:
    """Return orders of few traders at few prices, so that many of them meet."""
    random, sides = Random(seed), tuple(Side)
    return [
        NewOrder(
            random.randint(1, traders),
            random.randint(1, 4),
            sides[random.randrange(2)],
            random.randint(480, 520),
        )
        for _ in range(count)
    ]
