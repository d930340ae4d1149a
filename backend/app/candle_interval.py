"""The six lengths of candles. All open on UTC's clock, and each holds the one before it evenly."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class CandleInterval(StrEnum):
    """How long a candle lasts."""

    M1 = "1m"
    M5 = "5m"
    M15 = "15m"
    H1 = "1h"
    H4 = "4h"
    D1 = "1d"

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return _LENGTHS[self]

    @property
    def is_fine(self) -> bool:
        """Whether it is one of the short ones, of which there are many and which go earlier."""
        return self.length < timedelta(hours=1)

    @property
    def next_finer(self) -> "CandleInterval | None":
        """The interval whose candles make up those of this one; none for the shortest."""
        place = _ORDERED.index(self)
        return _ORDERED[place - 1] if place else None

    def opening(self, at: datetime) -> datetime:
        """Return when the candle that holds a moment opens."""
        return at - (at - _EPOCH) % self.length


_LENGTHS: Final = {
    CandleInterval.M1: timedelta(minutes=1),
    CandleInterval.M5: timedelta(minutes=5),
    CandleInterval.M15: timedelta(minutes=15),
    CandleInterval.H1: timedelta(hours=1),
    CandleInterval.H4: timedelta(hours=4),
    CandleInterval.D1: timedelta(days=1),
}
_ORDERED: Final = tuple(CandleInterval)
