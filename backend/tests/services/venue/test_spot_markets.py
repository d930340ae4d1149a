"""The spot markets as processes remember them: read once for all, and anew after a moment."""

import asyncio

import pytest
from sqlalchemy import text

from backend.app.database import Database
from backend.app.errors import SymbolUnknown
from backend.app.services.venue.spot_markets import ShardMarkets
from backend.tests.conftest import HandClock


async def test_whoever_asks_at_once_waits_for_one_reading(
    database: Database, clock: HandClock
) -> None:
    markets = ShardMarkets(database, clock)

    first = await asyncio.gather(*(markets.all() for _ in range(50)))
    clock.advance(seconds=5)
    second = await asyncio.gather(*(markets.all() for _ in range(50)))

    assert len({id(each) for each in first}) == len({id(each) for each in second}) == 1
    assert first[0] is not second[0]


async def test_a_change_is_seen_after_a_moment_and_not_before(
    database: Database, clock: HandClock
) -> None:
    markets = ShardMarkets(database, clock)
    assert (await markets.named("btcusdt")).is_active
    async with database.transaction() as session:
        await session.execute(
            text("UPDATE instruments SET is_active = false WHERE symbol = 'BTC/USDT'")
        )

    clock.advance(seconds=4.9)
    before = (await markets.named("BTC/USDT")).is_active
    clock.advance(seconds=0.1)
    after = (await markets.named("BTC/USDT")).is_active

    assert (before, after) == (True, False)


async def test_cards_are_no_spot_market_and_near_names_are_told(
    database: Database, clock: HandClock
) -> None:
    markets = ShardMarkets(database, clock)

    with pytest.raises(SymbolUnknown):
        await markets.named("PIKACHU")
    with pytest.raises(SymbolUnknown) as refused:
        await markets.named("BTC/USD")

    assert "BTC/USDT" in refused.value.facts["near"]
    assert (await markets.all()).assets >= {"BTC", "ETH", "USDT"}
