"""Whoever waits for the database is served in the order of arrival, and not for ever."""

import asyncio
from itertools import count

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text

from backend.app.config import DatabaseSettings
from backend.app.database import Database
from backend.app.errors import BadRequest, DatabaseUnavailable

PLACES = 3
CLIENTS = 60
TURNS = 10


@pytest.fixture
async def narrow(database_url: str) -> Database:
    """A way to the database for one at a time."""
    settings = DatabaseSettings(
        database_pool_size=1,
        database_max_overflow=0,
        database_pool_timeout_seconds=0.2,
        _env_file=None,
    )
    return Database(database_url, settings)


async def test_nobody_is_overtaken_by_whoever_asks_again(database_url: str) -> None:
    """The pool alone lets newcomers pass: some are overtaken by as many as there are clients."""
    settings = DatabaseSettings(
        database_pool_size=PLACES,
        database_max_overflow=0,
        database_pool_pre_ping=False,
        _env_file=None,
    )
    database = Database(database_url, settings)
    await connect_all(database)
    arrivals, overtaken = count(), [0]
    served = 0

    async def ask_again_and_again() -> None:
        nonlocal served
        for _ in range(TURNS):
            arrived = next(arrivals)
            async with database.transaction() as session:
                # Nothing is sent for it: how fast a server answers whom has no part in the order.
                await session.connection()
                overtaken.append(served - arrived)
                served += 1
                await session.execute(text("SELECT 1"))

    await asyncio.gather(*(ask_again_and_again() for _ in range(CLIENTS)))
    await database.close()
    # Those who are let in at the same time may be in any order.
    assert max(overtaken) < PLACES


async def connect_all(database: Database) -> None:
    """Let the pool have all its connections, so that nobody has to wait for one to be made."""
    all_connected = asyncio.Barrier(PLACES)

    async def connect() -> None:
        async with database.transaction() as session:
            await session.connection()
            await all_connected.wait()

    await asyncio.gather(*(connect() for _ in range(PLACES)))


async def test_whoever_waits_too_long_is_refused_and_takes_no_place(narrow: Database) -> None:
    async with narrow.transaction() as session:
        await session.execute(text("SELECT 1"))
        with pytest.raises(DatabaseUnavailable):
            await narrow.ping()
    await narrow.ping()
    await narrow.close()


async def test_whoever_gives_up_waiting_takes_no_place(narrow: Database) -> None:
    async with narrow.transaction() as session:
        await session.execute(text("SELECT 1"))
        waiting = asyncio.create_task(narrow.ping())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await narrow.ping()
    await narrow.close()


async def test_a_text_that_cannot_be_stored_is_a_bad_request(database: Database) -> None:
    with pytest.raises(BadRequest):
        async with database.snapshot() as session:
            await session.execute(text("SELECT CAST(:word AS text)"), {"word": "a\0b"})
    await database.ping()


async def test_such_a_text_in_an_address_is_refused_in_the_one_form(client: AsyncClient) -> None:
    answer = await client.get("/api/v1/symbols", params={"base_asset": "\0"})

    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")
