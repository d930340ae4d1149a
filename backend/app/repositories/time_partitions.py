"""Which partition a moment belongs to, what it is called, and where it begins and ends.

Ticks and requests lie by day, candles apart by interval: short ones by month, long ones by year.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final

from backend.app.candle_interval import CandleInterval


class PartitionedTable(StrEnum):
    """A table whose partitions are spans of time."""

    TICKS = "ticks"
    FINE_CANDLES = "candles_fine"
    COARSE_CANDLES = "candles_coarse"
    REQUESTS = "api_request_log"


_NAME: Final = re.compile(
    r"(ticks|candles_fine|candles_coarse|api_request_log)_(\d{4})(?:_(\d\d))?(?:_(\d\d))?"
)
_BY_DAY: Final = frozenset({PartitionedTable.TICKS, PartitionedTable.REQUESTS})
_DAYS_REMEMBERED: Final = 64


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition: everything from `start` to before `end`."""

    table: PartitionedTable
    start: datetime
    end: datetime

    @property
    def name(self) -> str:
        """What the partition is called: `ticks_2026_11_21`, `candles_fine_2026_11`."""
        return f"{self.table}_{self.start:{_FORMATS[self.table]}}"


_FORMATS: Final = {
    PartitionedTable.TICKS: "%Y_%m_%d",
    PartitionedTable.FINE_CANDLES: "%Y_%m",
    PartitionedTable.COARSE_CANDLES: "%Y",
    PartitionedTable.REQUESTS: "%Y_%m_%d",
}


def candles_table(interval: CandleInterval) -> PartitionedTable:
    """Return where the candles of an interval lie."""
    return PartitionedTable.FINE_CANDLES if interval.is_fine else PartitionedTable.COARSE_CANDLES


def partition_of(table: PartitionedTable, at: datetime) -> Partition:
    """Return the partition that holds a moment."""
    return _partition(table, at.astimezone(UTC).date())


# Asked for every request and every trade, and all of a day have one.
@lru_cache(maxsize=_DAYS_REMEMBERED)
def _partition(table: PartitionedTable, of_day: date) -> Partition:
    day = datetime.combine(of_day, time(), UTC)
    if table in _BY_DAY:
        return Partition(table, day, day + timedelta(days=1))
    if table is PartitionedTable.FINE_CANDLES:
        start = day.replace(day=1)
        # No month has more than 31 days, and none fewer than 28.
        return Partition(table, start, (start + timedelta(days=31)).replace(day=1))
    start = day.replace(month=1, day=1)
    return Partition(table, start, start.replace(year=start.year + 1))


def partition_named(name: str) -> Partition | None:
    """Return the partition of that name; None if it is none of ours."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    table, year, month, day = found.groups()
    start = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
    partition = partition_of(PartitionedTable(table), start)
    return partition if partition.name == name else None
