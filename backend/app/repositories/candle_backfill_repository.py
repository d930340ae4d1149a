"""SQL for how far histories were fetched."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.models.candle import CandleBackfill
from backend.app.repositories.candle_repository import Series


class CandleBackfillRepository:
    """The histories that were begun."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def reached(self, series: Series, start: datetime) -> datetime | None:
        """Return before which moment all since `start` is here; None if nothing was begun."""
        found: datetime | None = await self._session.scalar(
            select(CandleBackfill.reached_at).where(
                CandleBackfill.exchange == series.exchange,
                CandleBackfill.symbol == series.symbol,
                CandleBackfill.interval == series.interval.value,
                CandleBackfill.start_at == start,
            )
        )
        return found

    async def reach(self, series: Series, start: datetime, at: datetime, now: datetime) -> None:
        """Note that everything from `start` to before `at` is here. It never falls back."""
        noted = insert(CandleBackfill).values(
            exchange=series.exchange,
            symbol=series.symbol,
            interval=series.interval.value,
            start_at=start,
            reached_at=at,
            updated_at=now,
        )
        await self._session.execute(
            noted.on_conflict_do_update(
                constraint="pk_candle_backfills",
                set_={
                    "reached_at": func.greatest(
                        CandleBackfill.reached_at, noted.excluded.reached_at
                    ),
                    "updated_at": noted.excluded.updated_at,
                },
            )
        )
