"""When a key is tried next, and how long an exchange that tells nothing is left in peace. Pure."""

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import Enum, auto
from hashlib import sha256
from typing import Final

KEYS_PER_ROUND_MAX: Final = 5
REST_MIN: Final = timedelta(minutes=1)
REST_MAX: Final = timedelta(hours=1)
_DOUBLINGS_MAX: Final = 6
_SPREAD: Final = 0.1
_FRACTIONS: Final = 2**64


class Outcome(Enum):
    """What trying one key told of its exchange."""

    TOLD = auto()
    SILENT = auto()
    THROTTLED = auto()
    NOT_TRIED = auto()


class Schedule:
    """Spreads the keys over the interval: by their ids, so that a restart changes nothing."""

    def __init__(self, interval: timedelta) -> None:
        self._interval = interval

    def first(self, credential_id: int, now: datetime) -> datetime:
        """Return when a key without a time is tried: somewhere in the interval, not at once."""
        return now + self._interval * (_SPREAD + (1 - _SPREAD) * _fraction(credential_id, 0))

    def next(self, credential_id: int, now: datetime) -> datetime:
        """Return when a key that was tried is tried again: an interval on, a tenth more or less."""
        # Which attempt it is need not be stored: the number of intervals gone by tells them apart.
        attempt = int(now.timestamp() / self._interval.total_seconds())
        return now + self._interval * (1 + _SPREAD * (2 * _fraction(credential_id, attempt) - 1))

    def latest(self, now: datetime) -> datetime:
        """Return what no time of this schedule lies beyond; others were drawn for a longer one."""
        return now + self._interval * (1 + _SPREAD)


class Pace:
    """How many keys of one exchange are tried in a round: fewer, and later, when it tells nothing.

    A key's own trouble looks the same as its exchange's, so one verdict in a round is enough.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._rests_until: datetime | None = None

    def keys_max(self, now: datetime) -> int:
        """Return how many keys may be tried now: none while it rests, then one as a probe."""
        if self._rests_until is not None and now < self._rests_until:
            return 0
        return 1 if self._failures else KEYS_PER_ROUND_MAX

    def learn(self, outcomes: Collection[Outcome], now: datetime) -> None:
        """Take in what a round told: rest for twice as long as last time, or go on as always."""
        if Outcome.THROTTLED in outcomes:
            self._rest(now)
        elif Outcome.TOLD in outcomes:
            self._failures, self._rests_until = 0, None
        elif Outcome.SILENT in outcomes:
            self._rest(now)

    def _rest(self, now: datetime) -> None:
        self._rests_until = now + min(REST_MIN * 2**self._failures, REST_MAX)
        self._failures = min(self._failures + 1, _DOUBLINGS_MAX)


def _fraction(credential_id: int, attempt: int) -> float:
    digest = sha256(f"{credential_id}:{attempt}".encode()).digest()
    return int.from_bytes(digest[:8]) / _FRACTIONS
