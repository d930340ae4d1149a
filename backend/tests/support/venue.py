"""A venue for tests: an engine that leads until its block ends, and orders made from a seed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random

from backend.app.clock import utc_now
from backend.app.database import Database
from backend.app.repositories.venue_ledger import VenueLedger
from backend.app.services.venue.engine import VenueEngine
from backend.app.services.venue.snapshot_keeper import SNAPSHOT_COMMANDS_MAX
from backend.app.services.venue.streams import VenueStreams
from backend.app.venue.commands import (
    CancelAllOrders,
    CancelOrder,
    Command,
    MoveFunds,
    NewOrder,
)
from backend.app.venue.instruments import ATOMS_PER_UNIT
from backend.app.venue.orders import OrderType, Side, TimeInForce
from backend.app.venue_container import VenueContainer

_POLL_SECONDS = 0.01
_LEAD_SECONDS_MAX = 60
_PATIENCE_SECONDS = 60.0
SPOT_NUMBERS_FROM = 2**40 + 1


def engine_on(
    database: Database, shard: int = 0, snapshot_commands_max: int = SNAPSHOT_COMMANDS_MAX
) -> VenueEngine:
    """Return an engine, of the card market unless told, that does nothing yet."""
    return VenueEngine(VenueLedger(database, shard), utc_now, snapshot_commands_max)


async def led(engine: VenueEngine) -> None:
    """Wait until an engine leads."""
    async with asyncio.timeout(_LEAD_SECONDS_MAX):
        await engine.led()


def be_patient(venue: VenueContainer, redis_url: str) -> None:
    """Let Redis take its time on a busy machine; what comes of too little is a story of its own.

    Call it before anything of the venue is started.
    """
    assert venue._post is not None
    patient = VenueStreams(redis_url, _PATIENCE_SECONDS)
    # In its place: its mailbox and its leaders hold it too.
    vars(venue._post._streams).update(vars(patient))


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


def seeded_spot_commands(count: int, pair_id: int, seed: int = 7) -> list[Command]:
    """Return commands of few traders with little money: many meet, some are refused."""
    random, sides = Random(seed), tuple(Side)
    commands: list[Command] = [
        MoveFunds(account, asset, 1_000 * ATOMS_PER_UNIT, f"first-{asset}")
        for account in range(1, 9)
        for asset in ("BTC", "USDT")
    ]
    while len(commands) < count:
        account, kind = random.randint(1, 8), random.random()
        side, price = sides[random.randrange(2)], random.randint(9_900, 10_100)
        if kind < 0.6:
            force = random.choice(tuple(TimeInForce))
            order = NewOrder(account, pair_id, side, price, random.randint(1, 200_000))
            commands.append(order._replace(time_in_force=force))
        elif kind < 0.7:
            lots = random.randint(1, 100_000)
            commands.append(NewOrder(account, pair_id, side, None, lots, type=OrderType.MARKET))
        elif kind < 0.75:
            order = NewOrder(account, pair_id, side, price, 1_000, type=OrderType.STOP_LIMIT)
            commands.append(order._replace(stop_price=random.randint(9_900, 10_100)))
        elif kind < 0.95:
            number = SPOT_NUMBERS_FROM + random.randint(0, len(commands))
            commands.append(CancelOrder(account, pair_id, number))
        elif kind < 0.97:
            commands.append(CancelAllOrders(account, None))
        else:
            amount = random.randint(-50, 50) * ATOMS_PER_UNIT or ATOMS_PER_UNIT
            commands.append(MoveFunds(account, "USDT", amount, f"more-{len(commands)}"))
    return commands
