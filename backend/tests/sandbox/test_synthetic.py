"""Made-up candles: the same from the same seed, whole, and such as a market could have made."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.candle_interval import CandleInterval
from backend.app.sandbox.synthetic import joined, listing_of, synthetic_minutes

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@given(
    seed=st.integers(0, 2**64),
    symbol=st.sampled_from(["BTC/USDT", "ETH/BTC", "DOGE/USDT", "ANY/THING"]),
    hours=st.integers(0, 9000),
)
def test_every_minute_is_one_a_market_could_have_made(seed: int, symbol: str, hours: int) -> None:
    start = START + hours * HOUR
    minutes = list(synthetic_minutes(symbol, seed, start, start + HOUR))
    market = listing_of(symbol).market

    assert len(minutes) == 60
    for minute in minutes:
        assert 0 < minute.low <= min(minute.open, minute.close)
        assert max(minute.open, minute.close) <= minute.high
        prices = (minute.open, minute.high, minute.low, minute.close)
        assert not any(price % market.tick_size for price in prices)
        assert minute.volume > 0
        assert not minute.volume % market.step_size
        assert minute.low * minute.volume <= minute.quote_volume <= minute.high * minute.volume
        assert minute.trades > 0
    assert all(one.close == following.open for one, following in pairwise(minutes))


def test_the_seed_and_the_symbol_decide() -> None:
    def made(symbol: str, seed: int) -> list[object]:
        return list(synthetic_minutes(symbol, seed, START, START + HOUR))

    assert made("BTC/USDT", 7) == made("BTC/USDT", 7)
    assert made("BTC/USDT", 7) != made("BTC/USDT", 8)
    assert made("AAA/USDT", 7) != made("BBB/USDT", 7)


def test_a_later_beginning_tells_the_same_minutes() -> None:
    whole = list(synthetic_minutes("BTC/USDT", 7, START, START + 2 * HOUR))

    assert list(synthetic_minutes("BTC/USDT", 7, START + HOUR, START + 2 * HOUR)) == whole[60:]


@pytest.mark.parametrize("interval", list(CandleInterval))
def test_longer_candles_are_made_of_the_minutes(interval: CandleInterval) -> None:
    minutes = list(synthetic_minutes("BTC/USDT", 7, START, START + 24 * HOUR))
    candles = list(joined(minutes, interval))

    assert len(candles) == timedelta(days=1) / interval.length
    assert candles[0].open == minutes[0].open
    assert candles[-1].close == minutes[-1].close
    assert max(candle.high for candle in candles) == max(minute.high for minute in minutes)
    assert sum(candle.volume for candle in candles) == sum(minute.volume for minute in minutes)
    assert sum(candle.trades for candle in candles) == sum(minute.trades for minute in minutes)
