"""Keeps the candles of the configured symbols current: in one process at a time."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.candle_interval import CandleInterval
from backend.app.clock import Clock
from backend.app.exchanges.market_data import (
    IntervalNotOffered,
    MarketNotListed,
    MarketSourceUnavailable,
)
from backend.app.logs import logger
from backend.app.repositories.candle_repository import Series
from backend.app.services.market.candle_follow import CandleFollow

SERIES_PER_TICK_MAX: Final = 60
REST_MIN: Final = timedelta(seconds=2)
REST_MAX: Final = timedelta(minutes=1)
NOT_OFFERED_REST: Final = timedelta(hours=1)
_DOUBLINGS_MAX: Final = 6
_LOG: Final = logger(__name__)

Symbols = Callable[[], Awaitable[Sequence[str]]]


class Lead(Protocol):
    """Says which of many processes does something."""

    async def hold(self) -> bool:
        """Tell whether it is this one, trying to become it."""
        ...

    async def confirm(self, session: AsyncSession) -> None:
        """Raise unless this process may still write."""
        ...

    def release(self) -> None:
        """Let another process do it."""
        ...


class CandleFollower:
    """Asks for each series when it is due, one after the other."""

    name = "candle-follower"
    # How soon somebody takes over from a process that was killed.
    interval_seconds = 1.0

    def __init__(
        self, lead: Lead, follow: CandleFollow, exchange: str, symbols: Symbols, now: Clock
    ) -> None:
        self._lead = lead
        self._follow = follow
        self._exchange = exchange
        self._symbols = symbols
        self._now = now
        self._due: dict[Series, datetime] = {}
        self._failures = 0
        self._rests_until: datetime | None = None

    async def tick(self) -> None:
        """Bring what is due up to date, if this process is the one that does."""
        if not await self._lead.hold():
            self._due.clear()
            return
        now = self._now()
        if self._rests_until is not None and now < self._rests_until:
            return
        for series in await self._due_series(now):
            if not await self._lead.hold() or not await self._brought_up_to_date(series):
                return

    async def close(self) -> None:
        """Let another process follow."""
        self._lead.release()

    async def _due_series(self, now: datetime) -> list[Series]:
        wanted = {
            Series(self._exchange, symbol, interval)
            for symbol in await self._symbols()
            for interval in CandleInterval
        }
        self._due = {series: self._due.get(series, now) for series in wanted}
        due = [series for series in wanted if self._due[series] <= now]
        # The one that waits longest first: so a bounded round leaves none out for ever.
        due.sort(key=lambda series: (self._due[series], series.symbol, series.interval.length))
        return due[:SERIES_PER_TICK_MAX]

    async def _brought_up_to_date(self, series: Series) -> bool:
        """Return whether the exchange is worth asking for more."""
        try:
            self._due[series] = await self._follow.catch_up(series, self._lead.confirm)
        except (MarketNotListed, IntervalNotOffered) as error:
            self._due[series] = self._now() + NOT_OFFERED_REST
            _LOG.info(
                "candles_not_offered",
                exchange=series.exchange,
                symbol=series.symbol,
                interval=series.interval.value,
                kind=type(error).__name__,
            )
        except MarketSourceUnavailable as silence:
            rest = min(REST_MIN * 2**self._failures, REST_MAX)
            self._failures = min(self._failures + 1, _DOUBLINGS_MAX)
            self._rests_until = self._now() + rest
            _LOG.warning("candles_unavailable", exchange=silence.exchange, fault=silence.fault)
            return False
        self._failures = 0
        return True
