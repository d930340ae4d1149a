"""An exchange that tells candles: as many as a test wants of any time, and it may be away."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from backend.app.candle_interval import CandleInterval
from backend.app.exchanges.market_data import (
    MarketFault,
    MarketNotListed,
    MarketSourceUnavailable,
    SourceCandle,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def told_candle(at: datetime, close: str | None = None) -> SourceCandle:
    """Return the one candle that opens then; its close says how far into the hour it opens."""
    last = Decimal(close) if close else Decimal(100) + at.minute
    return SourceCandle(
        open_time=at,
        open=Decimal(100),
        high=max(Decimal(100), last),
        low=min(Decimal(100), last),
        close=last,
        volume=Decimal("1.5"),
        quote_volume=Decimal(150),
        trades=3,
    )


class ToldCandles:
    """A source of candles and of nothing else."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.asked: list[tuple[str, str, datetime, int]] = []
        self.faults: list[MarketFault] = []
        self.missing: set[datetime] = set()
        self.growing_close = "777"
        self.symbols = {"BTC/USDT", "ETH/USDT"}
        self._now = now

    async def candles(
        self, exchange: str, symbol: str, interval: str, start: datetime, limit: int
    ) -> tuple[SourceCandle, ...]:
        self.asked.append((symbol, interval, start, limit))
        if self.faults:
            raise MarketSourceUnavailable(exchange, self.faults.pop(0))
        if symbol not in self.symbols:
            raise MarketNotListed(exchange, symbol)
        length: timedelta = CandleInterval(interval).length
        first = start + (_EPOCH - start) % length
        times = (first + place * length for place in range(limit))
        return tuple(
            told_candle(at, self.growing_close if at + length > self._now() else None)
            for at in times
            if at <= self._now() and at not in self.missing
        )
