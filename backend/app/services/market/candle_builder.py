"""Candles of trades: every trade once, in any order, however late.

A candle is made anew from all the ticks of its time whenever one of them is new, never added to; so
it cannot depend on the order in which trades came. Minutes are made of ticks, longer candles of the
next shorter ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.candle_interval import CandleInterval
from backend.app.candle_numbers import VENUE, ChangedCandle, Trade
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.exchanges.registry import SUPPORTED
from backend.app.repositories.candle_repository import CandleRepository
from backend.app.repositories.tick_repository import TickRepository
from backend.app.repositories.time_partitions import PartitionedTable
from backend.app.services.live.announcer import Announcer
from backend.app.services.market.candle_news import publish_candles
from backend.app.services.market.time_storage import TimeStorage

TRADES_AT_ONCE_MAX: Final = 50_000
"""Trades of one transaction. Larger ones are cheaper for each trade, and hold longer."""
CLOCKS_APART_MAX: Final = timedelta(minutes=1)

Minute = tuple[str, datetime]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of some trades."""

    new: int = 0
    known: int = 0
    too_old: int = 0
    """From before ticks are kept: their candles cannot be made anew, and stay as they are."""
    in_future: int = 0

    def __add__(self, other: "Taken") -> "Taken":
        return Taken(
            self.new + other.new,
            self.known + other.known,
            self.too_old + other.too_old,
            self.in_future + other.in_future,
        )


class CandleBuilder:
    """Takes the trades of one exchange whose candles nobody else tells us."""

    def __init__(
        self,
        database: Database,
        storage: TimeStorage,
        announcer: Announcer,
        now: Clock,
        exchange: str = VENUE,
    ) -> None:
        if exchange in SUPPORTED:
            raise ValueError("this exchange tells its candles itself; ours would contradict them")
        self._database = database
        self._storage = storage
        self._announcer = announcer
        self._now = now
        self._exchange = exchange

    async def take(self, trades: Sequence[Trade]) -> Taken:
        """Keep trades and bring the candles they belong to up to date, all six lengths.

        Whatever is taken twice counts once.
        """
        taken = Taken()
        for start in range(0, len(trades), TRADES_AT_ONCE_MAX):
            taken += await self._take(trades[start : start + TRADES_AT_ONCE_MAX])
        return taken

    async def _take(self, trades: Sequence[Trade]) -> Taken:
        oldest = self._storage.retention.cutoff(PartitionedTable.TICKS, self._now())
        newest = self._now() + CLOCKS_APART_MAX
        dated = [trade for trade in trades if oldest <= trade.traded_at <= newest]
        too_old = sum(trade.traded_at < oldest for trade in trades)
        in_future = len(trades) - len(dated) - too_old
        new = await self._write(dated) if dated else 0
        return Taken(new, len(dated) - new, too_old, in_future)

    async def _write(self, trades: Sequence[Trade]) -> int:
        # Many are of one moment.
        moments = {trade.traded_at for trade in trades}
        days = {CandleInterval.D1.opening(at) for at in moments}
        for table in PartitionedTable:
            await self._storage.make_room(table, days)
        async with self._database.transaction() as session:
            ticks = TickRepository(session, self._exchange)
            await ticks.hold()
            fresh = await ticks.keep(trades)
            changed = await self._rebuild(session, [(symbol, at) for symbol, at, _ in fresh])
            messages = await publish_candles(session, self._exchange, changed)
        await self._announcer.announce(messages)
        return sum(count for _, _, count in fresh)

    async def _rebuild(
        self, session: AsyncSession, minutes: Sequence[Minute]
    ) -> list[ChangedCandle]:
        if not minutes:
            return []
        candles = CandleRepository(session)
        changed = await candles.rebuild_minutes(self._exchange, minutes)
        touched = minutes
        for interval in CandleInterval:
            if interval.next_finer is None:
                continue
            touched = sorted({(symbol, interval.opening(at)) for symbol, at in touched})
            changed += await candles.rebuild_longer(self._exchange, interval, touched)
        return changed
