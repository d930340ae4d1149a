"""Public market data of all eight exchanges, held against the path the sandbox's prices follow."""

import dataclasses
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from backend.app.enums import Environment
from backend.app.exchanges.market_candles import CANDLES, INTERVALS
from backend.app.exchanges.market_data import (
    BadQuote,
    BadQuoteReason,
    IntervalNotOffered,
    MarketNotListed,
    Quote,
)
from backend.app.exchanges.market_source import MarketSource, MarketSourceSettings
from backend.app.exchanges.registry import SUPPORTED
from backend.app.sandbox.listings import LISTINGS
from backend.app.sandbox.prices import PricePath
from backend.tests.support.sandbox import PATIENT, SEED, RunningSandbox, running_sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# Long enough ago that every exchange answers from its history.
_STILL = datetime(2024, 6, 1, 10, 7, 30, 250_000, tzinfo=UTC)
_BY_SYMBOL = {listing.market.symbol: listing for listing in LISTINGS}


@pytest.fixture(scope="module")
def still_sandbox() -> Iterator[RunningSandbox]:
    """A sandbox in which no time passes."""
    with running_sandbox(now_ms=lambda: _ms(_STILL)) as running:
        yield running


def _settings(sandbox: RunningSandbox) -> MarketSourceSettings:
    return MarketSourceSettings(
        Environment.SANDBOX,
        sandbox.base_url,
        limits=PATIENT,
        question_seconds=PATIENT.total_seconds,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def still(still_sandbox: RunningSandbox) -> AsyncIterator[MarketSource]:
    source = MarketSource(_settings(still_sandbox), clock=lambda: _STILL)
    yield source
    await source.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def source(sandbox: RunningSandbox) -> AsyncIterator[MarketSource]:
    """One for all: it keeps the lists of markets."""
    source = MarketSource(_settings(sandbox))
    yield source
    await source.close()


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def _path(symbol: str) -> PricePath:
    return PricePath(SEED.encode(), _BY_SYMBOL[symbol])


def _floats(value: Any) -> list[float]:
    if isinstance(value, Mapping):
        return [found for item in value.values() for found in _floats(item)]
    if isinstance(value, list | tuple):
        return [found for item in value for found in _floats(item)]
    if dataclasses.is_dataclass(value):
        return _floats([getattr(value, field.name) for field in dataclasses.fields(value)])
    return [value] if isinstance(value, float) else []


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_quotes_are_the_paths_prices_to_the_last_digit(
    still: MarketSource, exchange: str
) -> None:
    quotes = await still.quotes(exchange, [*_BY_SYMBOL, "NO/PE"])

    told = {
        symbol: Quote(symbol, _path(symbol).price(_ms(_STILL)), _STILL) for symbol in _BY_SYMBOL
    }
    assert quotes == {**told, "NO/PE": BadQuote("NO/PE", BadQuoteReason.NOT_LISTED)}
    assert _floats(quotes) == []


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_markets_are_listed_with_their_steps_and_their_own_document(
    source: MarketSource, exchange: str
) -> None:
    markets = await source.markets(exchange)

    assert [market.symbol for market in markets] == sorted(_BY_SYMBOL)
    for market in markets:
        known = _BY_SYMBOL[market.symbol].market
        assert (market.base, market.quote) == (known.base, known.quote)
        assert (market.tick_size, market.step_size) == (known.tick_size, known.step_size)
        assert market.min_notional in (known.min_notional, None)
        assert market.min_amount == known.min_amount
        assert market.max_amount in (known.max_amount, None)
        assert market.is_active
        assert market.exchange_name in market.raw.values()
        assert json.loads(json.dumps(market.raw)) == market.raw
    assert _floats(markets) == []


@pytest.mark.parametrize("exchange", SUPPORTED)
@pytest.mark.parametrize("interval", INTERVALS)
async def test_candles_are_the_paths_own(
    source: MarketSource, exchange: str, interval: str
) -> None:
    if interval in CANDLES[exchange].lacks:
        with pytest.raises(IntervalNotOffered):
            await source.candles(exchange, "ETH/USDT", interval, _STILL, 10)
        return

    length = INTERVALS[interval]
    start = _STILL - 20 * length

    candles = await source.candles(exchange, "ETH/USDT", interval, start, 20)

    assert [candle.open_time for candle in candles] == _opens(start, length, 20)
    for candle in candles:
        told = _path("ETH/USDT").candle(
            _ms(candle.open_time), length // _MILLISECOND, _ms(_STILL) * 2
        )
        prices = (candle.open, candle.high, candle.low, candle.close)
        assert prices == (told.open, told.high, told.low, told.close)
        assert (candle.volume, candle.quote_volume) == (told.volume, told.quote_volume)
    assert _floats(candles) == []


def _opens(start: datetime, length: timedelta, count: int) -> list[datetime]:
    first = start + (_EPOCH - start) % length
    return [first + number * length for number in range(count)]


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_a_long_span_is_asked_for_in_pages_and_comes_back_whole(
    source: MarketSource, exchange: str
) -> None:
    candles = await source.candles(exchange, "BTC/USDT", "1m", _STILL, 1000)

    assert [c.open_time for c in candles] == _opens(_STILL, timedelta(minutes=1), 1000)


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_the_newest_candle_is_the_one_that_is_still_growing(
    source: MarketSource, exchange: str
) -> None:
    before = datetime.now(UTC)

    candles = await source.candles(exchange, "BTC/USDT", "1m", before - timedelta(minutes=5), 100)

    newest = candles[-1].open_time
    assert before - timedelta(minutes=1) < newest <= datetime.now(UTC)
    expected = _opens(before - timedelta(minutes=5), timedelta(minutes=1), len(candles))
    assert [candle.open_time for candle in candles] == expected


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_an_unknown_symbol_is_told_as_such(source: MarketSource, exchange: str) -> None:
    with pytest.raises(MarketNotListed):
        await source.candles(exchange, "NO/PE", "1m", _STILL, 10)


async def test_no_candle_opens_before_the_beginning_or_after_now(source: MarketSource) -> None:
    for start in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
        assert await source.candles("binance", "BTC/USDT", "1d", start, 1000) == ()
