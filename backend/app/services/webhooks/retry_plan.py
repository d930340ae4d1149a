"""When a message is tried again: soon, then later and later, for most of a day. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

# Eight attempts in all: at once, and after each of these.
PAUSES: Final = (
    timedelta(seconds=5),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=12),
)
ATTEMPTS_MAX: Final = len(PAUSES) + 1
# A fifth more at the most, so that what failed together does not come back together.
JITTER_MAX: Final = 0.2
# What a far end may ask for.
RETRY_AFTER_MAX: Final = timedelta(hours=6)
# Without one message arriving.
FAILING_FOR_MAX: Final = timedelta(days=3)

_SECONDS_DIGITS_MAX: Final = 9


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """How the pauses are drawn out; `chance` is between 0 and 1."""

    chance: float

    def next_attempt(
        self, attempts: int, now: datetime, retry_after: str | None = None
    ) -> datetime | None:
        """Return when to try again after so many attempts, or None to give up."""
        if attempts >= ATTEMPTS_MAX:
            return None
        pause = PAUSES[attempts - 1] * (1 + JITTER_MAX * self.chance)
        return now + max(pause, asked_pause(retry_after, now))


def asked_pause(retry_after: str | None, now: datetime) -> timedelta:
    """Return how long a `Retry-After` asks to wait, within bounds; nothing if it is unreadable.

    Source: RFC 9110, section 10.2.3.
    """
    if retry_after is None:
        return timedelta()
    asked = _seconds(retry_after) or _date(retry_after, now)
    return min(max(asked or timedelta(), timedelta()), RETRY_AFTER_MAX)


def _seconds(text: str) -> timedelta | None:
    if not (text.isascii() and text.isdigit() and len(text) <= _SECONDS_DIGITS_MAX):
        return None
    return timedelta(seconds=int(text))


def _date(text: str, now: datetime) -> timedelta | None:
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
