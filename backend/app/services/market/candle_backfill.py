"""Fetching a history, page by page; how far it came stands in the database with each page."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.errors import CandleRangeRefused, ExchangeUnreachable
from backend.app.exchanges.market_data import (
    IntervalNotOffered,
    MarketFault,
    MarketNotListed,
    MarketSourceUnavailable,
    SourceCandle,
)
from backend.app.repositories.candle_backfill_repository import CandleBackfillRepository
from backend.app.repositories.candle_repository import Gap, Series
from backend.app.services.market.candle_history import CandleHistory
from backend.app.services.market.public_markets import PublicMarkets

CANDLES_A_PAGE: Final = 1_000
PAUSE_SECONDS: Final = 0.25
"""Between two questions: a tenth of what the strictest of the exchanges allows."""
TRIES_MAX: Final = 8
RETRY_SECONDS_MAX: Final = 60.0
GAPS_TOLD_MAX: Final = 20
_PASSING: Final = frozenset({MarketFault.AWAY, MarketFault.SLOW, MarketFault.THROTTLED})

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a backfill stands: it goes from `start` to `end` and has come to `reached`."""

    start: datetime
    end: datetime
    reached: datetime
    candles: int


@dataclass(frozen=True, slots=True)
class Filled:
    """What a backfill has done. `gaps` are the first spans the exchange has no candle of."""

    resumed_at: datetime | None
    end: datetime
    candles: int
    left_out: int
    gaps: Sequence[Gap]


class CandleBackfilling:
    """Fetches what an exchange tells of the past. Killed at any moment, it goes on where it was."""

    def __init__(
        self,
        *,
        database: Database,
        source: PublicMarkets,
        history: CandleHistory,
        now: Clock,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._database = database
        self._source = source
        self._history = history
        self._now = now
        self._sleep = sleep

    async def fill(
        self,
        series: Series,
        since: datetime,
        until: datetime | None,
        tell: Callable[[Progress], None],
    ) -> Filled:
        """Fetch every closed candle that opens from `since` to before `until`, or until now.

        Raises:
            CandleRangeRefused: there is nothing between the two, or it is kept no longer.
            ExchangeUnreachable: it stayed away through all tries; what was fetched is kept.
        """
        start, end = self._span(series, since, until)
        reached = max(start, await self._reached(series, start) or start)
        resumed_at = reached if reached > start else None
        candles = left_out = 0
        while reached < end:
            tell(Progress(start, end, reached, candles))
            count = min(CANDLES_A_PAGE, (end - reached) // series.interval.length)
            following = reached + count * series.interval.length
            page = await self._ask(series, reached, count)
            kept = await self._history.keep(
                series, page, self._noting(series, start, following), is_told=False
            )
            candles, left_out, reached = candles + kept.written, left_out + kept.left_out, following
            if reached < end:
                await self._sleep(PAUSE_SECONDS)
        tell(Progress(start, end, max(reached, end), candles))
        gaps = await self._history.gaps(series, start, end, GAPS_TOLD_MAX)
        return Filled(resumed_at, end, candles, left_out, gaps)

    def _span(
        self, series: Series, since: datetime, until: datetime | None
    ) -> tuple[datetime, datetime]:
        now, opening = self._now(), series.interval.opening
        # The candle that is still growing is the follower's.
        start, end = opening(since), opening(min(until or now, now))
        if start >= end:
            raise CandleRangeRefused("There is no closed candle between these two times.")
        kept_since = self._history.kept_since(series)
        if start < kept_since:
            raise CandleRangeRefused(
                f"Candles of {series.interval} are kept since {kept_since:%Y-%m-%d} here. Begin"
                " then or later, or raise CANDLE_RETENTION_DAYS_FINE (or _COARSE)."
            )
        return start, end

    async def _reached(self, series: Series, start: datetime) -> datetime | None:
        async with self._database.snapshot() as session:
            return await CandleBackfillRepository(session).reached(series, start)

    def _noting(
        self, series: Series, start: datetime, reached: datetime
    ) -> Callable[[AsyncSession], Awaitable[None]]:
        async def note(session: AsyncSession) -> None:
            await CandleBackfillRepository(session).reach(series, start, reached, self._now())

        return note

    async def _ask(self, series: Series, start: datetime, count: int) -> tuple[SourceCandle, ...]:
        pause_seconds = 1.0
        for tried in range(1, TRIES_MAX + 1):
            try:
                return await self._source.candles(
                    series.exchange, series.symbol, series.interval.value, start, count
                )
            except MarketNotListed:
                raise CandleRangeRefused(
                    f"{series.exchange} lists no spot market {series.symbol}."
                ) from None
            except IntervalNotOffered:
                raise CandleRangeRefused(
                    f"{series.exchange} has no candles of {series.interval}."
                ) from None
            except MarketSourceUnavailable as silence:
                if silence.fault not in _PASSING or tried == TRIES_MAX:
                    raise ExchangeUnreachable(
                        f"{silence.exchange} gave no usable answer ({silence.fault})."
                        " What was fetched is kept: run it again to go on."
                    ) from None
            await self._sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, RETRY_SECONDS_MAX)
        raise AssertionError("the last try returns or raises")
