"""A million trades, and every candle of them as by plain reckoning."""

from datetime import UTC, datetime, timedelta

import pytest

from backend.app.database import Database
from backend.app.services.live.silent_announcer import SilentAnnouncer
from backend.app.services.market.candle_builder import CandleBuilder, Taken
from backend.app.services.market.candle_retention import Retention
from backend.app.services.market.time_storage import TimeStorage
from backend.tests.conftest import HandClock
from backend.tests.support.reference_candles import reference, stored, synthetic_trades

TRADES = 1_000_000


@pytest.mark.slow
async def test_candles_of_a_million_trades_are_those_of_plain_reckoning(
    database: Database, clock: HandClock
) -> None:
    storage = TimeStorage(database, Retention(7, 400, None), clock)
    builder = CandleBuilder(database, storage, SilentAnnouncer(), clock)
    begins, lasts = datetime(2026, 11, 19, tzinfo=UTC), timedelta(days=2)
    trades = list(synthetic_trades(20261121, TRADES, begins, lasts, ("BTC/USDT", "ETH/USDT")))

    taken = await builder.take(trades)

    assert taken == Taken(new=TRADES)
    assert await stored(database) == reference(trades)
