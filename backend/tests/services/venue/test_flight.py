"""Two batches under way: nobody is told of anything before it is committed, whatever happens."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from backend.app.database import Database
from backend.app.errors import EngineElsewhere, OrderOutcomeUnknown
from backend.app.repositories.venue_names import Known
from backend.app.services.venue.engine import VenueEngine
from backend.app.services.venue.replay import replay
from backend.app.services.venue.waiting_room import AHEAD_ORDERS_MIN
from backend.app.venue.commands import NewOrder
from backend.app.venue.orders import Side
from backend.tests.support.databases import server_connection
from backend.tests.support.venue import engine_on, led, running, seeded_orders

BUY, SELL = Side.BUY, Side.SELL
SECONDS_MAX = 30
MINE = NewOrder(1, 1, BUY, 900, client_order_id="mine")


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[VenueEngine]:
    async with running(engine_on(database)) as engine:
        await led(engine)
        yield engine


@asynccontextmanager
async def held_up(database_url: str) -> AsyncIterator[Any]:
    """Let whoever writes a batch wait until the block ends."""
    async with server_connection(database_url) as connection, connection.transaction():
        await connection.execute("LOCK TABLE trades IN SHARE MODE")
        yield connection


async def until_one_is_held_up(connection: Any, *, and_ended: bool = False) -> None:
    what = "pg_terminate_backend(pid)" if and_ended else "pid"
    async with asyncio.timeout(SECONDS_MAX):
        while not await connection.fetchval(
            f"SELECT {what} FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND application_name = 'strongroom engine' AND datname = current_database()"
        ):
            await connection.execute("SELECT pg_stat_clear_snapshot(), pg_sleep(0.01)")


async def test_a_book_is_shown_as_it_is_committed_or_not_at_all(
    engine: VenueEngine, database_url: str
) -> None:
    async with held_up(database_url) as connection:
        placed = asyncio.create_task(engine.place(NewOrder(1, 1, BUY, 250)))
        await until_one_is_held_up(connection)
        shown = asyncio.create_task(engine.depth(1, 10))
        await connection.execute("SELECT pg_sleep(0.2)")
        was_shown = shown.done()

    assert not was_shown
    assert (await shown).bids == [(250, 1)]
    assert (await placed).id == 1


async def test_a_batch_decided_ahead_waits_for_the_one_it_stands_on(
    engine: VenueEngine, database: Database, database_url: str
) -> None:
    orders = seeded_orders(3 * AHEAD_ORDERS_MIN)
    async with held_up(database_url) as connection:
        first = asyncio.create_task(engine.carry_out([MINE]))
        await until_one_is_held_up(connection)
        # Its name is known before it is stored.
        others = asyncio.create_task(engine.carry_out([*orders, MINE, MINE._replace(price=901)]))
        await connection.execute("SELECT pg_sleep(0.2)")
        were_answered = first.done() or others.done()

    [mine] = await first
    *placed, again, other = await others
    assert not were_answered
    assert isinstance(mine, Known)
    assert again == mine
    assert type(other).__name__ == "ClientOrderIdTaken"
    assert [each.id for each in placed if isinstance(each, Known)] == list(
        range(2, len(orders) + 2)
    )
    assert (await replay(database, 0)).difference is None


async def test_what_stood_on_a_batch_that_was_cut_off_is_thrown_away_with_it(
    engine: VenueEngine, database: Database, database_url: str
) -> None:
    orders = seeded_orders(3 * AHEAD_ORDERS_MIN)
    async with held_up(database_url) as connection:
        first = asyncio.create_task(engine.carry_out([MINE]))
        await until_one_is_held_up(connection)
        ahead = asyncio.create_task(engine.carry_out([*orders, NewOrder(2, 1, SELL, 100)]))
        shown = asyncio.create_task(engine.depth(1, 10))
        await connection.execute("SELECT pg_sleep(0.2)")
        await until_one_is_held_up(connection, and_ended=True)
        with pytest.raises(OrderOutcomeUnknown):
            await first
        # Nothing of it was sent, so that it is known to have come to nothing.
        with pytest.raises(EngineElsewhere):
            await ahead
        with pytest.raises(EngineElsewhere):
            await shown
    await led(engine)

    assert await engine.depth(1, 10) == ([], [])
    assert (await engine.place(MINE)).id == 1
    assert (await replay(database, 0)).difference is None


async def test_many_who_wait_for_answers_are_served_in_turn_and_in_order(
    engine: VenueEngine, database: Database
) -> None:
    rest = iter(seeded_orders(4_000))
    told: set[int] = set()

    async def client() -> None:
        for order in rest:
            told.add((await engine.place(order)).id)

    await asyncio.gather(*(client() for _ in range(4 * AHEAD_ORDERS_MIN)))

    found = await replay(database, 0)
    assert told == set(range(1, 4_001))
    assert found.difference is None
    assert found.batches >= 4_000 // (4 * AHEAD_ORDERS_MIN)
