"""Counting by time windows: in Redis while it answers, else in this process alone.

Redis is a convenience here: when it fails, the process counts alone and nobody is refused for it.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import RateLimiter
from limits.errors import StorageError
from limits.util import WindowStats
from pydantic import SecretStr
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

REDIS_SECONDS_MAX: Final = 0.2
_REDIS_PAUSE_SECONDS: Final = 5.0

_Told = TypeVar("_Told")


class SharedWindows:
    """The windows of one strategy, shared by every process that has the same Redis."""

    def __init__(
        self,
        strategy: type[RateLimiter],
        redis_url: SecretStr | None,
        monotonic: Callable[[], float] = time.monotonic,
        redis_seconds_max: float = REDIS_SECONDS_MAX,
    ) -> None:
        self._alone = strategy(MemoryStorage())
        self._storage = _shared_storage(redis_url, redis_seconds_max)
        self._shared = strategy(self._storage) if self._storage else None
        self._monotonic = monotonic
        self._shared_again_at = 0.0

    async def hit(self, item: RateLimitItem, *subject: str, cost: int = 1) -> bool:
        """Count `cost` hits and tell whether all of them fit."""
        return await self._ask(lambda windows: windows.hit(item, *subject, cost=cost))

    async def stats(self, item: RateLimitItem, *subject: str) -> WindowStats:
        """Return when a subject's window ends, in wall time, and how many hits it has left."""
        return await self._ask(lambda windows: windows.get_window_stats(item, *subject))

    async def close(self) -> None:
        """Let go of Redis."""
        if self._storage is not None:
            await self._storage.bridge.storage.aclose()  # type: ignore[attr-defined]

    async def _ask(self, question: Callable[[RateLimiter], Awaitable[_Told]]) -> _Told:
        if self._shared is not None and self._monotonic() >= self._shared_again_at:
            try:
                return await question(self._shared)
            except (StorageError, OSError, TimeoutError):
                # One slow answer is paid; the next do not wait for it again.
                self._shared_again_at = self._monotonic() + _REDIS_PAUSE_SECONDS
        return await question(self._alone)


def _shared_storage(redis_url: SecretStr | None, seconds_max: float) -> RedisStorage | None:
    if redis_url is None:
        return None
    url = redis_url.get_secret_value()
    return RedisStorage(
        # The library's own way of writing a Unix socket.
        "async+" + (f"redis+{url}" if url.startswith("unix:") else url),
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix="strongroom:limits",
        socket_timeout=seconds_max,
        socket_connect_timeout=seconds_max,
        # redis-py would try again for seconds.
        retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]
    )
