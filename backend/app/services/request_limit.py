"""How often somebody may ask, whatever they ask: a person by who they are, anybody else by address.

The windows are shared by all processes, but asked only once for a whole portion of requests: one
question to Redis for each request would cost more than most answers do. What a process has taken
and not spent when the window ends is lost, so the limit is never exceeded, and reached a portion
early at the most. Where two windows meet, a whole limit could be spent on either side; so each
process holds everybody to the limit over any span as long as a window, too.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any, Final

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.strategies import FixedWindowRateLimiter
from pydantic import SecretStr

from backend.app.config import RateLimitSettings
from backend.app.errors import RequestsThrottled
from backend.app.services.address_limit import network_of
from backend.app.services.shared_windows import REDIS_SECONDS_MAX, SharedWindows

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
    # When those came that are younger than a window, in monotonic time.
    admitted: deque[float] = field(default_factory=deque)

    @property
    def remaining(self) -> int:
        """How many requests would be admitted now."""
        return min(self.left + self.left_elsewhere, self.limit - len(self.admitted))

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
        monotonic: Callable[[], float] = time.monotonic,
        redis_seconds_max: float = REDIS_SECONDS_MAX,
    ) -> None:
        limit = settings.rl_max_requests
        self._item = RateLimitItemPerSecond(limit, settings.rl_window_sec) if limit else None
        self._seconds = settings.rl_window_sec
        self._portion = _portion(limit)
        self._windows = SharedWindows(
            FixedWindowRateLimiter, redis_url, redis_seconds_max=redis_seconds_max
        )
        # The library counts in wall time.
        self._wall = wall
        self._monotonic = monotonic
        # Oldest first. Whoever is dropped for another takes a new portion.
        self._known: dict[str, Allowance] = {}
        self._taking: dict[str, asyncio.Task[None]] = {}

    async def count_user(self, user_id: int, state: dict[str, Any]) -> None:
        """Count one request of somebody known; its `state` keeps what is left, if one is limited.

        Raises:
            RequestsThrottled: there have been too many of them.
        """
        if self._item:
            await self._count(f"user:{user_id}", state)

    async def count_address(self, address: str | None, state: dict[str, Any]) -> None:
        """Count one request of somebody unknown; its `state` keeps what is left, as above.

        Raises:
            RequestsThrottled: there have been too many of them.
        """
        if self._item:
            await self._count(f"address:{network_of(address or '')}", state)

    async def close(self) -> None:
        """Let go of Redis."""
        await self._windows.close()

    async def _count(self, subject: str, state: dict[str, Any]) -> None:
        while True:
            now = self._wall()
            known = self._known.get(subject)
            if known is None or known.ends_at <= now:
                await self._taken(subject)
            elif known.left:
                self._admit(known, now, state)
                return
            elif known.left_elsewhere:
                await self._taken(subject)
            else:
                raise self._refused(known, known.ends_at, now, state)

    def _admit(self, known: Allowance, now: float, state: dict[str, Any]) -> None:
        at, seconds, admitted = self._monotonic(), self._seconds, known.admitted
        while admitted and admitted[0] <= at - seconds:
            admitted.popleft()
        if len(admitted) >= known.limit:
            raise self._refused(known, now + admitted[0] + seconds - at, now, state)
        admitted.append(at)
        known.left -= 1
        state[ALLOWANCE] = known

    def _refused(
        self, known: Allowance, until: float, now: float, state: dict[str, Any]
    ) -> RequestsThrottled:
        state[ALLOWANCE] = nothing = replace(known, left=0, left_elsewhere=0, ends_at=until)
        return RequestsThrottled(
            f"More than {known.limit} requests in {self._seconds} seconds.",
            retry_after_seconds=nothing.reset_seconds(now),
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
        before = self._known.pop(subject, None)
        if len(self._known) >= SUBJECTS_MAX:
            del self._known[next(iter(self._known))]
        self._known[subject] = Allowance(
            limit=item.amount,
            left=self._portion if fits else 0,
            left_elsewhere=window.remaining if fits else 0,
            ends_at=window.reset_time,
            admitted=deque() if before is None else before.admitted,
        )

    @property
    def _limited(self) -> RateLimitItem:
        assert self._item is not None  # noqa: S101 - asked before
        return self._item


def _portion(limit: int) -> int:
    """Return the greatest portion that divides the limit, so that all of it can be used."""
    largest = max(1, limit // PORTIONS_MIN)
    return next(size for size in range(largest, 0, -1) if limit % size == 0)
