"""Made-up candles for trying things out: a function of symbol and seed, the same for everybody.

They are read off the sandbox's price path, minute by minute, and longer candles are made of the
minutes. All of it is reckoned in whole ticks and steps.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Final

from backend.app.candle_interval import CandleInterval
from backend.app.exchanges.market_values import Market
from backend.app.sandbox.listings import LISTINGS, Listing
from backend.app.sandbox.prices import MINUTE_MS, PricePath

TRADES_A_MINUTE: Final = 40
_QUIET: Final = 20
_LIVELY_PER_RANGE: Final = 100_000
"""More is traded where the price moves: per cent of the usual, by the part it moves."""
_MILLISECOND: Final = timedelta(milliseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ANY_TICK: Final = Decimal("0.01")
_ANY_STEP: Final = Decimal("0.001")
_ANY_MIDDLE: Final = Decimal(100)
_ANY_VOLUME: Final = Decimal(1000)


@dataclass(frozen=True, slots=True)
class SyntheticCandle:
    """A candle nobody traded. In the form of one that an exchange tells."""

    open_time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int


def synthetic_minutes(
    symbol: str, seed: int, start: datetime, end: datetime
) -> Iterator[SyntheticCandle]:
    """Yield the minutes from `start` to before `end`."""
    listing = listing_of(symbol)
    path = PricePath(b"synthetic|%d" % seed, listing)
    steps = int(listing.volume_per_minute / listing.market.step_size)
    start_ms, end_ms = ((at - _EPOCH) // _MILLISECOND for at in (start, end))
    for at_ms in range(start_ms, end_ms, MINUTE_MS):
        first, last = path.price(at_ms), path.price(at_ms + MINUTE_MS)
        low, high = path.lowest_and_highest(at_ms, at_ms + MINUTE_MS)
        liveliness = _QUIET + int((high - low) * _LIVELY_PER_RANGE / first)
        volume = steps * liveliness // 100 * listing.market.step_size
        yield SyntheticCandle(
            open_time=_EPOCH + at_ms * _MILLISECOND,
            open=first,
            high=high,
            low=low,
            close=last,
            volume=volume,
            quote_volume=volume * (first + high + low + last) / 4,
            trades=max(1, TRADES_A_MINUTE * liveliness // 100),
        )


def joined(
    minutes: Iterable[SyntheticCandle], interval: CandleInterval
) -> Iterator[SyntheticCandle]:
    """Yield the candles of an interval that minutes make up, minutes in their order."""
    for _, group in groupby(minutes, key=lambda minute: interval.opening(minute.open_time)):
        yield _joined(list(group))


def listing_of(symbol: str) -> Listing:
    """Return the sandbox's market of a symbol, or a market around 100 where it has none."""
    for listing in LISTINGS:
        if listing.market.symbol == symbol:
            return listing
    base, _, quote = symbol.partition("/")
    largest = _ANY_STEP * 10_000_000
    market = Market(base, quote, _ANY_TICK, _ANY_STEP, _ANY_STEP, largest, Decimal(5))
    return Listing(market, _ANY_MIDDLE, _ANY_VOLUME)


def _joined(minutes: Sequence[SyntheticCandle]) -> SyntheticCandle:
    return SyntheticCandle(
        open_time=minutes[0].open_time,
        open=minutes[0].open,
        high=max(minute.high for minute in minutes),
        low=min(minute.low for minute in minutes),
        close=minutes[-1].close,
        volume=sum((minute.volume for minute in minutes), Decimal(0)),
        quote_volume=sum((minute.quote_volume for minute in minutes), Decimal(0)),
        trades=sum(minute.trades for minute in minutes),
    )
