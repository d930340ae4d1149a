"""Keeps one series current from its exchange, with as few questions as will do."""

from datetime import datetime, timedelta
from typing import Final

from backend.app.candle_interval import CandleInterval
from backend.app.clock import Clock
from backend.app.repositories.candle_repository import Series
from backend.app.services.market.candle_history import CandleHistory, Within
from backend.app.services.market.public_markets import PublicMarkets

FIRST_CANDLES: Final = 500
"""Candles fetched of a series that is empty: what a chart shows at first."""
CANDLES_AT_ONCE_MAX: Final = 1_000
ASKED_AGAIN_MIN: Final = timedelta(seconds=20)
ASKED_AGAIN_MAX: Final = timedelta(minutes=10)
_ASKED_WITHIN_A_CANDLE: Final = 3
# An exchange needs a moment to close a candle.
_CLOSES_WITHIN: Final = timedelta(seconds=1)


class CandleFollow:
    """Asks an exchange for what is new of a series."""

    def __init__(self, source: PublicMarkets, history: CandleHistory, now: Clock) -> None:
        self._source = source
        self._history = history
        self._now = now

    async def catch_up(self, series: Series, within: Within) -> datetime:
        """Fetch what came since the last candle that is here; return when to ask again.

        The last candle was still growing when it was fetched, and the one before it may have been
        closing: both are fetched again.

        Raises:
            MarketSourceUnavailable: the exchange gave no usable answer.
            MarketNotListed: it has no such market.
            IntervalNotOffered: it has no candles of this interval.
        """
        now, length = self._now(), series.interval.length
        newest = await self._history.newest(series)
        start = (
            series.interval.opening(now) - (FIRST_CANDLES - 1) * length
            if newest is None
            else newest - length
        )
        start = max(start, series.interval.opening(self._history.kept_since(series)))
        count = min(CANDLES_AT_ONCE_MAX, (now - start) // length + 1)
        candles = await self._source.candles(
            series.exchange, series.symbol, series.interval.value, start, count
        )
        await self._history.keep(series, candles, within)
        is_behind = start + count * length <= now
        return now if is_behind and candles else _asked_again(series.interval, now)


def _asked_again(interval: CandleInterval, now: datetime) -> datetime:
    pause = interval.length / _ASKED_WITHIN_A_CANDLE
    pause = min(max(pause, ASKED_AGAIN_MIN), ASKED_AGAIN_MAX)
    closed = interval.opening(now) + interval.length + _CLOSES_WITHIN
    return min(now + pause, closed)
