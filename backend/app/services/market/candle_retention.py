"""How long ticks and candles are kept. What is older goes with its partition."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from backend.app.candle_interval import CandleInterval
from backend.app.config import MarketSettings
from backend.app.repositories.time_partitions import PartitionedTable

# No exchange is older, and nothing is written into years that never were.
OLDEST: Final = datetime.fromisoformat("2010-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class Retention:
    """Days each kind is kept; None is for ever."""

    ticks_days: int
    fine_days: int | None
    coarse_days: int | None

    @classmethod
    def of(cls, settings: MarketSettings) -> "Retention":
        """Read what the installation has set."""
        return cls(
            settings.tick_retention_days,
            settings.candle_retention_days_fine or None,
            settings.candle_retention_days_coarse or None,
        )

    def cutoff(self, table: PartitionedTable, now: datetime) -> datetime:
        """Return the first moment that is kept: the beginning of a day.

        Whole days, so that a day's candle is always made of the whole day's ticks.
        """
        days = {
            PartitionedTable.TICKS: self.ticks_days,
            PartitionedTable.FINE_CANDLES: self.fine_days,
            PartitionedTable.COARSE_CANDLES: self.coarse_days,
        }[table]
        if days is None:
            return OLDEST
        return CandleInterval.D1.opening(now - timedelta(days=days))
