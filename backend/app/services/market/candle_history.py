"""Candles as their exchange tells them: they replace what stood in their places.

What an exchange says of its own candles is the last word. So no ticks are ever made into candles of
an exchange that tells its own, and no told candle is ever written for one whose candles we build.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.candle_numbers import VENUE, CandleNumbers
from backend.app.channel_message import Message
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.repositories.candle_repository import CandleRepository, Gap, Series
from backend.app.repositories.time_partitions import candles_table
from backend.app.services.live.announcer import Announcer
from backend.app.services.market.candle_news import publish_candles
from backend.app.services.market.time_storage import TimeStorage

# What the columns hold: NUMERIC(38, 18) and INTEGER.
_AMOUNT_END: Final = Decimal(10) ** 20
_TRADES_MAX: Final = 2_147_483_647

Within = Callable[[AsyncSession], Awaitable[None]]
"""What is done in the transaction of the candles, before them."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of told candles."""

    written: int
    changed: int
    left_out: int
    """Older than candles are kept, or with numbers that no market has."""


class CandleHistory:
    """Writes what exchanges tell of their candles."""

    def __init__(
        self, database: Database, storage: TimeStorage, announcer: Announcer, now: Clock
    ) -> None:
        self._database = database
        self._storage = storage
        self._announcer = announcer
        self._now = now

    def kept_since(self, series: Series) -> datetime:
        """Return the first moment whose candles are kept."""
        return self._storage.retention.cutoff(candles_table(series.interval), self._now())

    async def newest(self, series: Series) -> datetime | None:
        """Return when the last candle that is here opens."""
        async with self._database.snapshot() as session:
            return await CandleRepository(session).newest(series)

    async def gaps(self, series: Series, start: datetime, end: datetime, rows: int) -> list[Gap]:
        """Return the first spans without a candle."""
        async with self._database.snapshot() as session:
            return await CandleRepository(session).gaps(series, start, end, rows)

    async def keep(
        self,
        series: Series,
        candles: Sequence[CandleNumbers],
        within: Within,
        *,
        is_told: bool = True,
    ) -> Kept:
        """Write candles, and tell listeners of those that changed."""
        if series.exchange == VENUE:
            raise ValueError("the venue's candles are made of its trades")
        since = self.kept_since(series)
        usable = [each for each in candles if each.open_time >= since and _fits(each)]
        await self._storage.make_room(
            candles_table(series.interval), {each.open_time for each in usable}
        )
        messages: list[Message] = []
        async with self._database.transaction() as session:
            await within(session)
            changed = await CandleRepository(session).store(series, usable)
            if is_told:
                messages = await publish_candles(session, series.exchange, changed)
        await self._announcer.announce(messages)
        return Kept(len(usable), len(changed), len(candles) - len(usable))


def _fits(candle: CandleNumbers) -> bool:
    amounts = (candle.high, candle.volume, candle.quote_volume or Decimal(0))
    return all(each < _AMOUNT_END for each in amounts) and (candle.trades or 0) <= _TRADES_MAX
