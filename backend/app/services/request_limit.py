"""How often somebody may ask, whatever they ask: a person by who they are, anybody else by address.

The windows are shared by all processes, but asked only once for a whole portion of requests: one
question to Redis for each request would cost more than most answers do. What a process has taken
and not spent when the window ends is lost, so the limit is never exceeded, and reached a portion
early at the most.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Final

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.strategies import FixedWindowRateLimiter
from pydantic import SecretStr

from backend.app.config import RateLimitSettings
from backend.app.errors import RequestsThrottled
from backend.app.services.address_limit import network_of
from backend.app.services.shared_windows import SharedWindows

ALLOWANCE: Final = "allowance"
"""Where a request's state keeps what its sender may still ask."""
PORTIONS_MIN: Final = 30
"""Into how many portions a window is cut at the least."""
SUBJECTS_MAX: Final = 10_000


@dataclass(slots=True)
class Allowance:
    """What is left of a window for one subject, as this process knows it."""

    limit: int
    left: int
    left_elsewhere: int
    ends_at: float

    @property
    def remaining(self) -> int:
        """How many requests fit into the rest of the window."""
        return self.left + self.left_elsewhere

    def reset_seconds(self, now: float) -> int:
        """Return after how many whole seconds a new window begins."""
        return max(1, ceil(self.ends_at - now))


class RequestLimit:
    """Counts requests by subject in windows of some seconds, which begin with the first of them."""

    def __init__(
        self,
        settings: RateLimitSettings,
        redis_url: SecretStr | None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        limit = settings.rl_max_requests
        self._item = RateLimitItemPerSecond(limit, settings.rl_window_sec) if limit else None
        self._portion = _portion(limit)
        self._windows = SharedWindows(FixedWindowRateLimiter, redis_url)
        # The library counts in wall time.
        self._wall = wall
        # Oldest first. Whoever is dropped for another takes a new portion.
        self._known: dict[str, Allowance] = {}
        self._taking: dict[str, asyncio.Task[None]] = {}

    async def count_user(self, user_id: int) -> Allowance | None:
        """Count one request of somebody known; None if nobody is limited.

        Raises:
            RequestsThrottled: the window's requests are used up.
        """
        return await self._count(f"user:{user_id}") if self._item else None

    async def count_address(self, address: str | None) -> Allowance | None:
        """Count one request of somebody unknown; None if nobody is limited.

        Raises:
            RequestsThrottled: the window's requests are used up.
        """
        return await self._count(f"address:{network_of(address or '')}") if self._item else None

    async def close(self) -> None:
        """Let go of Redis."""
        await self._windows.close()

    async def _count(self, subject: str) -> Allowance:
        while True:
            now = self._wall()
            known = self._known.get(subject)
            if known is None or known.ends_at <= now:
                await self._taken(subject)
            elif known.left:
                known.left -= 1
                return known
            elif known.left_elsewhere:
                await self._taken(subject)
            else:
                raise RequestsThrottled(
                    f"More than {known.limit} requests in {self._seconds} seconds.",
                    retry_after_seconds=known.reset_seconds(now),
                )

    async def _taken(self, subject: str) -> None:
        """Take a portion, one for all who wait for it."""
        taking = self._taking.get(subject)
        if taking is None:
            taking = self._taking[subject] = asyncio.create_task(self._take(subject))
        # Shielded: one caller who hangs up must not take the others' portion along.
        await asyncio.shield(taking)

    async def _take(self, subject: str) -> None:
        item = self._limited
        try:
            fits = await self._windows.hit(item, subject, cost=self._portion)
            window = await self._windows.stats(item, subject)
        finally:
            # Not when the task is seen to have ended: whoever came in between would wait for what
            # is over already, which takes no time, again and again, and let nobody else run.
            del self._taking[subject]
        self._known.pop(subject, None)
        if len(self._known) >= SUBJECTS_MAX:
            del self._known[next(iter(self._known))]
        self._known[subject] = Allowance(
            limit=item.amount,
            left=self._portion if fits else 0,
            left_elsewhere=window.remaining if fits else 0,
            ends_at=window.reset_time,
        )

    @property
    def _limited(self) -> RateLimitItem:
        assert self._item is not None  # noqa: S101 - asked before
        return self._item

    @property
    def _seconds(self) -> int:
        return int(self._limited.get_expiry())


def _portion(limit: int) -> int:
    """Return the greatest portion that divides the limit, so that all of it can be used."""
    largest = max(1, limit // PORTIONS_MIN)
    return next(size for size in range(largest, 0, -1) if limit % size == 0)
