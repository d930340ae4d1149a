"""When a payout is tried again: soon, then later and later, then only if a person says so. Pure."""

from datetime import datetime, timedelta
from typing import Final

TRIES_MAX: Final = 12
PAUSE_MIN: Final = timedelta(seconds=2)
PAUSE_MAX: Final = timedelta(minutes=10)
# Half more at the most, so that what failed together does not come back together.
JITTER_MAX: Final = 0.5
# While nobody answers at all, nothing is asked and no try is counted.
AWAY_PAUSE: Final = timedelta(seconds=5)


def next_try(tries: int, now: datetime, chance: float) -> datetime | None:
    """Return when to try again after so many tries, or None to leave it to a person.

    `chance` is between 0 and 1.
    """
    if tries >= TRIES_MAX:
        return None
    pause = min(PAUSE_MIN * (1 << (tries - 1)), PAUSE_MAX)
    return now + pause * (1 + JITTER_MAX * chance)


def next_look(now: datetime, chance: float) -> datetime:
    """Return when to look again for a settlement that is away."""
    return now + AWAY_PAUSE * (1 + JITTER_MAX * chance)
