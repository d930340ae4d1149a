"""The engine on a real PostgreSQL: what it answers is committed, and only its leader writes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from backend.app.clock import utc_now
from backend.app.database import Database
from backend.app.errors import (
    ClientOrderIdTaken,
    EngineElsewhere,
    OrderOutcomeUnknown,
    StrongroomError,
    VenueBusy,
)
from backend.app.repositories.venue_ledger import LeadLost, VenueLedger
from backend.app.repositories.venue_names import Known
from backend.app.services.venue.engine import VenueEngine
from backend.app.services.venue.waiting_room import QUEUE_ORDERS_MAX
from backend.app.venue.commands import NewOrder
from backend.app.venue.orders import Side
from backend.tests.support.databases import server_connection
from backend.tests.support.venue import engine_on, led, running, seeded_orders

BUY, SELL = Side.BUY, Side.SELL


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[VenueEngine]:
    async with running(engine_on(database)) as engine:
        await led(engine)
        yield engine


async def rows(database_url: str, query: str) -> list[tuple[Any, ...]]:
    async with server_connection(database_url) as connection:
        return [tuple(row) for row in await connection.fetch(query)]


async def count(database_url: str, table: str) -> int:
    [(found,)] = await rows(database_url, f"SELECT count(*) FROM {table}")
    return int(found)


async def test_an_order_that_is_answered_is_committed(
    engine: VenueEngine, database_url: str
) -> None:
    sold = await engine.place(NewOrder(1, 3, SELL, 250))
    bought = await engine.place(NewOrder(2, 3, BUY, 300, client_order_id="mine"))

    assert (sold.id, sold.executed, bought.id, bought.executed) == (1, 0, 2, 1)
    assert await rows(
        database_url,
        "SELECT id, account_id, instrument_id, side, price, executed_quantity, status,"
        " client_order_id FROM orders ORDER BY id",
    ) == [
        (1, 1, 3, "sell", 250, 1, "filled", None),
        (2, 2, 3, "buy", 300, 1, "filled", "mine"),
    ]
    # At the price of the order that rested.
    assert await rows(
        database_url,
        "SELECT instrument_id, maker_order_id, taker_order_id, taker_side, price FROM trades",
    ) == [(3, 1, 2, "buy", 250)]


async def test_what_waits_together_is_committed_together(
    engine: VenueEngine, database_url: str
) -> None:
    answers = await asyncio.gather(*(engine.place(each) for each in seeded_orders(500)))

    assert sorted(each.id for each in answers) == list(range(1, 501))
    assert await count(database_url, "orders") == 500
    assert await count(database_url, "venue_journal") < 10


async def test_the_same_order_sent_again_is_placed_once(
    engine: VenueEngine, database_url: str
) -> None:
    order = NewOrder(1, 1, BUY, 250, client_order_id="once")

    together = await engine.carry_out((order, order))
    later = await engine.place(order)

    assert [each.id for each in (*together, later) if isinstance(each, Known)] == [1, 1, 1]
    assert await count(database_url, "orders") == 1


async def test_an_id_that_names_another_order_is_refused_and_changes_nothing(
    engine: VenueEngine, database_url: str
) -> None:
    order = NewOrder(1, 1, BUY, 250, client_order_id="taken")
    await engine.place(order)

    for other in (order._replace(price=251), order._replace(side=SELL)):
        with pytest.raises(ClientOrderIdTaken):
            await engine.place(other)
    another = await engine.place(order._replace(account_id=2, price=251))

    assert another.id == 2
    assert await count(database_url, "orders") == 2


async def test_of_two_orders_of_one_name_in_one_batch_the_second_is_refused(
    engine: VenueEngine,
) -> None:
    order = NewOrder(1, 1, BUY, 250, client_order_id="taken")

    first, second = await engine.carry_out((order, order._replace(price=251)))

    assert isinstance(first, Known)
    assert isinstance(second, ClientOrderIdTaken)


async def test_an_engine_that_starts_again_goes_on_where_it_was(
    database: Database, database_url: str
) -> None:
    orders = seeded_orders(400)
    for part in (orders[:150], orders[150:]):
        async with running(engine_on(database)) as engine:
            await led(engine)
            await engine.carry_out(part)
    query = "SELECT id, maker_order_id, taker_order_id, price FROM trades ORDER BY id"
    in_two = await rows(database_url, query)
    async with server_connection(database_url) as connection:
        await connection.execute("ALTER TABLE venue_journal DISABLE TRIGGER USER")
        await connection.execute("TRUNCATE orders, trades, venue_journal")
    async with running(engine_on(database)) as engine:
        await led(engine)
        await engine.carry_out(orders)

    assert len(in_two) > 100
    assert await rows(database_url, query) == in_two


async def test_one_leads_and_the_other_takes_over(database: Database) -> None:
    async with running(engine_on(database)) as one:
        await led(one)
        async with running(engine_on(database)) as other:
            with pytest.raises(EngineElsewhere):
                await other.place(NewOrder(1, 1, BUY, 250))
            await one.place(NewOrder(1, 1, BUY, 250))
            await one.stop()
            await led(other)
            with pytest.raises(EngineElsewhere):
                await one.place(NewOrder(1, 1, BUY, 250))

            assert (await other.place(NewOrder(2, 1, SELL, 200))).executed == 1


async def test_a_paused_leader_that_was_replaced_writes_nothing(
    database: Database, database_url: str
) -> None:
    old = VenueLedger(database, 0)
    assert await old.take_lead(utc_now())
    books = (await old.load()).books
    # As when its connection's lock was taken from it while it slept: it does not know.
    await old._connection.execute("SELECT pg_advisory_unlock_all()")
    async with running(engine_on(database)) as engine:
        await led(engine)
        await engine.place(NewOrder(1, 1, BUY, 250))

        with pytest.raises(LeadLost):
            await old.write(
                await old.prepare(books.carry_out([NewOrder(9, 1, BUY, 999)]), utc_now())
            )

        assert (await engine.place(NewOrder(2, 1, SELL, 200))).executed == 1
    old.close()
    assert await rows(database_url, "SELECT account_id FROM orders ORDER BY id") == [(1,), (2,)]
    assert await count(database_url, "venue_journal") == 2


async def test_two_ledgers_never_lead_at_once(database: Database) -> None:
    one, other = VenueLedger(database, 0), VenueLedger(database, 0)

    assert await one.take_lead(utc_now())
    assert not await other.take_lead(utc_now())
    one.close()
    async with asyncio.timeout(30):
        while not await other.take_lead(utc_now()):
            await asyncio.sleep(0.01)
    other.close()


async def test_more_than_may_wait_is_refused_at_once(engine: VenueEngine) -> None:
    orders = seeded_orders(QUEUE_ORDERS_MAX)
    waiting = asyncio.create_task(engine.carry_out(orders))
    await asyncio.sleep(0)

    with pytest.raises(VenueBusy) as refused:
        await engine.place(orders[0])

    assert refused.value.retry_after_seconds
    assert len(await waiting) == QUEUE_ORDERS_MAX
    await engine.place(orders[0])


async def test_a_commit_of_unknown_outcome_is_told_so_and_the_books_are_read_anew(
    engine: VenueEngine, database_url: str
) -> None:
    await engine.place(NewOrder(1, 1, SELL, 250))
    async with server_connection(database_url) as connection, connection.transaction():
        # Whoever writes waits here, and is cut off while it does.
        await connection.execute("LOCK TABLE trades IN SHARE MODE")
        cut = asyncio.create_task(engine.place(NewOrder(2, 1, BUY, 250, client_order_id="unknown")))
        async with asyncio.timeout(30):
            while not await connection.fetchval(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'strongroom engine' AND wait_event_type = 'Lock'"
                " AND datname = current_database()"
            ):
                await connection.execute("SELECT pg_stat_clear_snapshot(), pg_sleep(0.01)")
        with pytest.raises(OrderOutcomeUnknown):
            await cut
    await led(engine)

    again = await engine.place(NewOrder(2, 1, BUY, 250, client_order_id="unknown"))

    assert (again.id, again.executed) == (2, 1)
    assert await count(database_url, "trades") == 1


async def test_what_waits_at_a_stop_is_committed_and_answered(
    engine: VenueEngine, database_url: str
) -> None:
    waiting = [asyncio.create_task(engine.place(each)) for each in seeded_orders(300)]
    await asyncio.sleep(0)

    await engine.stop()

    assert len({each.id for each in await asyncio.gather(*waiting)}) == 300
    assert await count(database_url, "orders") == 300


async def test_the_book_is_what_is_committed(engine: VenueEngine) -> None:
    for order in (NewOrder(1, 2, BUY, 300), NewOrder(1, 2, BUY, 310), NewOrder(2, 2, SELL, 400)):
        await engine.place(order)

    assert await engine.depth(2, 10) == ([(310, 1), (300, 1)], [(400, 1)])
    assert await engine.depth(1, 10) == ([], [])


async def test_the_journal_cannot_be_changed(engine: VenueEngine, database_url: str) -> None:
    await engine.place(NewOrder(1, 1, BUY, 250))

    for statement in ("UPDATE venue_journal SET epoch = 9", "TRUNCATE venue_journal"):
        async with server_connection(database_url) as connection:
            with pytest.raises(Exception, match="append-only"):
                await connection.execute(statement)


async def test_a_refusal_is_an_answer_of_its_own(engine: VenueEngine) -> None:
    order = NewOrder(1, 1, BUY, 250, client_order_id="a")
    answers = await engine.carry_out((order, order._replace(price=300), NewOrder(1, 2, BUY, 250)))

    assert [isinstance(each, StrongroomError) for each in answers] == [False, True, False]
