"""How long the next login under one name has to wait.

Each attempt is counted before its password is looked at, so that a hundred guesses sent at once
count as a hundred; a right password clears the count. The wait grows and ends: nobody is locked
out for good.
"""

from datetime import datetime, timedelta
from math import ceil
from typing import Final

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.clock import Clock
from backend.app.repositories.login_throttle_repository import LoginThrottleRepository
from backend.app.services.keyed_hash import KeyedHash

FREE_FAILURES: Final = 5
DELAY_SECONDS_MAX: Final = 300
FORGOTTEN_AFTER: Final = timedelta(hours=24)
_DOUBLINGS_MAX: Final = 9


def delay_after(failures: int) -> timedelta:
    """Return the wait after that many failures in a row: nothing, then 1, 2, 4 ... 300 seconds."""
    if failures < FREE_FAILURES:
        return timedelta(0)
    doublings = min(failures - FREE_FAILURES, _DOUBLINGS_MAX)
    return timedelta(seconds=min(2**doublings, DELAY_SECONDS_MAX))


class LoginThrottling:
    """Counts attempts, in the caller's block."""

    def __init__(self, secret: SecretStr | None, now: Clock) -> None:
        self._keyed = KeyedHash(secret, "login-throttle")
        self._now = now

    def subject(self, username: str, device: str | None) -> bytes:
        """Return under what an attempt is counted: the name, or the name on a known device."""
        return self._keyed.digest(username.lower(), device or "")

    async def charge(self, session: AsyncSession, subject: bytes) -> int:
        """Count one attempt and return 0, or return how many seconds it has to wait."""
        now = self._now()
        count = await LoginThrottleRepository(session).lock(subject, now)
        if count.delayed_until > now:
            return ceil((count.delayed_until - now).total_seconds())
        failed_before = 0 if _forgotten(count.attempted_at, now) else count.failures
        count.failures = min(failed_before + 1, FREE_FAILURES + _DOUBLINGS_MAX)
        count.attempted_at = now
        count.delayed_until = now + delay_after(count.failures)
        await session.flush()
        return 0

    async def clear(self, session: AsyncSession, subject: bytes) -> None:
        """Forget the failures: the right password came."""
        await LoginThrottleRepository(session).clear(subject)


def _forgotten(attempted_at: datetime, now: datetime) -> bool:
    return attempted_at < now - FORGOTTEN_AFTER
