"""Seeding puts back what belongs here, once, and never touches what is there."""

from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest

from backend.app.database import Database
from backend.app.services.venue.listed_instruments import LISTED
from backend.app.services.venue.replay import replay
from backend.app.services.venue.seeding import Seeded, seed
from backend.tests.support.databases import server_connection
from backend.tests.support.venue import engine_on, led, running, seeded_orders

SYMBOLS = [listed.symbol for _, listed in LISTED]
Connection = asyncpg.Connection


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    async with server_connection(database_url) as connection:
        yield connection


async def rows(connection: Connection) -> Sequence[asyncpg.Record]:
    return await connection.fetch("SELECT * FROM instruments ORDER BY id")


async def test_an_installation_has_them_all_as_they_are_listed(
    database: Database, connection: Connection
) -> None:
    before = await rows(connection)

    seeded = await seed(database, opens=True)

    assert seeded == Seeded(there=SYMBOLS)
    assert await rows(connection) == before


async def test_what_is_missing_comes_back_as_it_was_and_only_once(
    database: Database, connection: Connection
) -> None:
    before = await rows(connection)
    await connection.execute("TRUNCATE instruments RESTART IDENTITY")

    first, second = await seed(database, opens=False), await seed(database, opens=False)

    assert first == Seeded(added=SYMBOLS)
    assert second == Seeded(there=SYMBOLS)
    assert await rows(connection) == before
    # Ids given by hand are not given again.
    added = await connection.fetchval(
        "INSERT INTO instruments (shard, symbol, name, quote_asset, ticks_per_unit,"
        " price_ticks_min, price_ticks_max, order_lots_max)"
        " VALUES (0, 'MEW', 'Mew', 'USD', 100, 100, 1000, 1) RETURNING id"
    )
    assert added == len(SYMBOLS) + 1


async def test_an_engine_leads_again_when_the_card_of_its_journal_is_back(
    database: Database, connection: Connection
) -> None:
    async with running(engine_on(database)) as engine:
        await led(engine)
        await engine.carry_out(seeded_orders(100))
    await connection.execute("DELETE FROM instruments WHERE symbol = 'SQUIRTLE'")
    without = await replay(database, 0)

    await seed(database, opens=False)

    assert without.difference is not None
    assert (await replay(database, 0)).difference is None
    async with running(engine_on(database)) as engine:
        await led(engine)


async def test_a_halt_ends_only_if_it_is_to(database: Database, connection: Connection) -> None:
    await connection.execute("UPDATE instruments SET is_active = false WHERE id IN (2, 5)")

    left, opened = await seed(database, opens=False), await seed(database, opens=True)

    assert left.halted == opened.opened == ["CHARMANDER", "BTC/USDT"]
    assert await seed(database, opens=True) == Seeded(there=SYMBOLS)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (
            "UPDATE instruments SET maker_fee_ppm = 0, notional_min = 7.5 WHERE id = 5",
            "BTC/USDT is left as it is: maker_fee_ppm is 0, not 1000, notional_min is 7.5, not 5.",
        ),
        (
            "UPDATE instruments SET id = 40, shard = 1 WHERE id = 4",
            "SQUIRTLE is left as it is: id is 40, not 4, shard is 1, not 0.",
        ),
        (
            "UPDATE instruments SET symbol = 'MEW' WHERE id = 4",
            "SQUIRTLE cannot be added: its number 4 is that of MEW.",
        ),
    ],
)
async def test_what_cannot_be_put_right_is_named_and_left_and_the_rest_is_added(
    database: Database, connection: Connection, change: str, refusal: str
) -> None:
    await connection.execute(change)
    before = await rows(connection)
    await connection.execute("DELETE FROM instruments WHERE id = 1")

    seeded = await seed(database, opens=False)

    assert (seeded.added, seeded.refused) == (["PIKACHU"], [refusal])
    assert await rows(connection) == before


async def test_a_pair_under_another_number_is_the_same_pair(
    database: Database, connection: Connection
) -> None:
    await connection.execute("UPDATE instruments SET id = 50 WHERE symbol = 'ETH/BTC'")

    assert await seed(database, opens=False) == Seeded(there=SYMBOLS)
