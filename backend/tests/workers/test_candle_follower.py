"""The follower asks for what is due, rests when the exchange does, and only while it leads."""

import asyncio
from collections import Counter

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.candle_interval import CandleInterval
from backend.app.config import DatabaseSettings
from backend.app.database import Database
from backend.app.exchanges.market_data import MarketFault
from backend.app.services.live.silent_announcer import SilentAnnouncer
from backend.app.services.market.candle_follow import CandleFollow
from backend.app.services.market.candle_history import CandleHistory
from backend.app.services.market.candle_retention import Retention
from backend.app.services.market.refresher_lock import Duty, RefresherLock
from backend.app.services.market.time_storage import TimeStorage
from backend.app.workers.candle_follower import CandleFollower, Lead
from backend.tests.conftest import HandClock
from backend.tests.support.reference_candles import stored
from backend.tests.support.told_candles import ToldCandles


class Leading:
    """A lead that a test gives and takes."""

    def __init__(self) -> None:
        self.is_held = True

    async def hold(self) -> bool:
        return self.is_held

    async def confirm(self, session: AsyncSession) -> None:
        assert self.is_held

    def release(self) -> None:
        self.is_held = False


@pytest.fixture
def lead() -> Leading:
    return Leading()


@pytest.fixture
def source(clock: HandClock) -> ToldCandles:
    return ToldCandles(clock)


@pytest.fixture
def follower(
    database: Database, clock: HandClock, lead: Leading, source: ToldCandles
) -> CandleFollower:
    return follower_on(database, lead, source, clock)


def follower_on(
    database: Database, lead: Lead, source: ToldCandles, clock: HandClock
) -> CandleFollower:
    storage = TimeStorage(database, Retention(7, 400, None), clock)
    history = CandleHistory(database, storage, SilentAnnouncer(), clock)

    async def symbols() -> list[str]:
        return ["BTC/USDT", "ETH/USDT"]

    return CandleFollower(lead, CandleFollow(source, history, clock), "binance", symbols, clock)


async def test_all_six_intervals_of_every_symbol_are_kept_current(
    follower: CandleFollower, database: Database
) -> None:
    await follower.tick()

    found = {(symbol, interval) for symbol, interval, _ in await stored(database, "binance")}
    assert found == {
        (symbol, interval.value)
        for symbol in ("BTC/USDT", "ETH/USDT")
        for interval in CandleInterval
    }


async def test_long_candles_are_asked_for_more_rarely_than_short_ones(
    follower: CandleFollower, source: ToldCandles, clock: HandClock
) -> None:
    clock.advance(seconds=30)
    for _ in range(60):
        await follower.tick()
        clock.advance(seconds=10)

    asked = Counter(interval for symbol, interval, _, _ in source.asked if symbol == "BTC/USDT")
    assert asked["1m"] <= 40
    assert asked["5m"] <= 9
    assert asked["1h"] == asked["1d"] == 1


async def test_who_does_not_lead_asks_nothing(
    follower: CandleFollower, source: ToldCandles, lead: Leading
) -> None:
    lead.is_held = False

    await follower.tick()

    assert source.asked == []


async def test_an_exchange_that_is_away_is_left_in_peace_for_longer_each_time(
    follower: CandleFollower, source: ToldCandles, clock: HandClock
) -> None:
    source.faults = [MarketFault.AWAY] * 1000
    for _ in range(120):
        await follower.tick()
        clock.advance(seconds=1)

    # After 2, 4, 8, 16, 32 and 60 seconds.
    assert len(source.asked) == 6


async def test_what_is_not_offered_does_not_keep_the_rest_waiting(
    follower: CandleFollower, source: ToldCandles, database: Database, clock: HandClock
) -> None:
    source.symbols = {"ETH/USDT"}

    await follower.tick()
    clock.advance(minutes=30)
    source.asked.clear()
    await follower.tick()

    assert {symbol for symbol, *_ in source.asked} == {"ETH/USDT"}
    assert {symbol for symbol, _, _ in await stored(database, "binance")} == {"ETH/USDT"}


async def test_closing_gives_the_lead_away(follower: CandleFollower, lead: Leading) -> None:
    await follower.close()

    assert not lead.is_held


async def test_of_two_processes_one_follows_and_the_other_takes_over_when_it_is_gone(
    database_url: str, clock: HandClock
) -> None:
    databases = [Database(database_url, DatabaseSettings(_env_file=None)) for _ in range(2)]
    sources = [ToldCandles(clock), ToldCandles(clock)]
    first, second = (
        follower_on(database, RefresherLock(database, Duty.CANDLES, 60.0), source, clock)
        for database, source in zip(databases, sources, strict=True)
    )
    # Whoever refreshes prices is in nobody's way.
    prices = RefresherLock(databases[1], Duty.PRICES, 60.0)
    assert await prices.hold()

    await first.tick()
    await second.tick()
    assert (bool(sources[0].asked), bool(sources[1].asked)) == (True, False)

    await first.close()
    # PostgreSQL gives the lock free a moment after the connection broke off.
    async with asyncio.timeout(60):
        while not sources[1].asked:
            await second.tick()

    await second.close()
    prices.release()
    for database in databases:
        await database.close()
