"""One refresher among many processes, and another when it is gone."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from backend.app.database import Database
from backend.app.exchanges.market_data import MarketFault
from backend.app.services.market.refresher_lock import RefresherLock, RefresherLockLost
from backend.tests.conftest import HandClock
from backend.tests.support.databases import server_connection
from backend.tests.support.price_house import PriceHouse, price_house
from backend.tests.support.valkey import eventually

_REFRESHERS = "FROM pg_stat_activity WHERE application_name = 'strongroom refresher'"


@pytest.fixture
async def houses(
    database_url: str, clock: HandClock
) -> AsyncIterator[tuple[PriceHouse, PriceHouse]]:
    async with (
        price_house(database_url, clock, symbols=["BTCUSDT"]) as one,
        price_house(database_url, clock, symbols=["BTCUSDT"]) as other,
    ):
        one.markets.tell(BTC_USDT="1")
        other.markets.tell(BTC_USDT="2")
        yield one, other


async def test_one_of_two_refreshes_and_the_other_takes_over_when_it_stops(
    houses: tuple[PriceHouse, PriceHouse],
) -> None:
    one, other = houses
    await one.refresh()
    await other.refresh()
    told_by_one = await other.prices()
    asked_of_other = list(other.markets.asked)

    await one.refresher.close()
    await _takes_over(other)
    await one.refresh()

    assert told_by_one["BTC/USDT"]["price"] == "1"
    assert asked_of_other == []
    assert (await other.prices())["BTC/USDT"]["price"] == "2"
    assert len(one.markets.asked) == 1


async def test_a_holder_whose_connection_was_ended_stops_before_it_writes(
    houses: tuple[PriceHouse, PriceHouse], database_url: str
) -> None:
    one, other = houses
    await one.refresh()
    confirm = one.refresher._lock.confirm

    await _end_refreshers(database_url)
    await other.refresh()
    with pytest.raises(RefresherLockLost):
        await one.refresher._prices.refresh(confirm)
    with pytest.raises(RefresherLockLost):
        await one.refresher._reference.refresh(confirm)

    assert (await other.prices())["BTC/USDT"]["price"] == "2"


async def test_a_holder_that_lost_its_connection_tries_again_like_everybody(
    houses: tuple[PriceHouse, PriceHouse], database_url: str
) -> None:
    one, _other = houses
    await one.refresh()
    await _end_refreshers(database_url)
    one.markets.tell(BTC_USDT="3")
    connection = one.refresher._lock._connection
    await eventually(connection.is_closed)

    await one.refresh()

    assert (await one.prices())["BTC/USDT"]["price"] == "3"


async def test_the_server_ends_a_holder_that_hangs(database: Database, database_url: str) -> None:
    lock, next_one = (RefresherLock(database, answer_seconds_max=60.0) for _ in range(2))
    try:
        assert await lock.hold()
        connection: asyncpg.Connection = lock._connection
        assert await connection.fetchval("SHOW idle_session_timeout") == "30s"
        # The same with less patience: this test has none for half a minute.
        await connection.execute("SET idle_session_timeout = '100ms'")
        await eventually(connection.is_closed)

        # PostgreSQL gives the lock free a moment after it has said that it ends the connection.
        async with asyncio.timeout(60):
            while not await next_one.hold():
                await asyncio.sleep(0.01)
        async with database.transaction() as session:
            with pytest.raises(RefresherLockLost):
                await lock.confirm(session)
            await next_one.confirm(session)
        assert not await lock.hold()
    finally:
        lock.release()
        next_one.release()


async def test_reference_data_is_asked_for_again_soon_after_a_failure_and_seldom_otherwise(
    houses: tuple[PriceHouse, PriceHouse],
) -> None:
    one, _ = houses
    now = [0.0]
    one.refresher._monotonic = lambda: now[0]
    one.markets.away["binance"] = MarketFault.AWAY
    await one.refresher.tick()
    one.markets.away.clear()
    one.markets.tell(BTC_USDT="5")

    now[0] = 59
    await one.refresher.tick()
    before = list(one.markets.asked)
    now[0] = 61
    await one.refresher.tick()

    assert before == []
    assert (await one.prices())["BTC/USDT"]["price"] == "5"
    assert one.refresher._reference_due == 61 + 6 * 3600


async def _takes_over(house: PriceHouse) -> None:
    """Tick until the server has noticed that the holder's connection is gone."""
    async with asyncio.timeout(60):
        while not house.markets.asked:
            await house.refresher.tick()


async def _end_refreshers(database_url: str) -> None:
    async with server_connection(database_url) as connection:
        ended = await connection.fetchval(
            f"SELECT count(pg_terminate_backend(pid, 60000)) {_REFRESHERS}"
            " AND datname = current_database()"
        )
    assert ended
