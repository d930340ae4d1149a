"""Answers remembered for a while, in this process and in Redis; never the truth, never a secret.

Reading goes through the cache to the database, and a cache that is away, slow or wrong costs time
and nothing else. Two rules keep it honest. A write forgets *after* its commit, and from then on
nobody can put back what was read before it. And what could not be forgotten because Redis was away
is not read from Redis again before it has expired there.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from cachetools import TLRUCache

from backend.app.services.redis_cache import RedisCache

Load = Callable[[], Awaitable[bytes]]

LOCAL_ENTRIES_MAX: Final = 10_000
VALUE_BYTES_MAX: Final = 65_536
# In front of Redis, notices of change arrive at once; this bounds what a lost one can cost.
LOCAL_TTL_SECONDS_MAX: Final = 5.0
UNFORGOTTEN_KEYS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Entry:
    value: bytes
    ttl_seconds: float


class CacheService:
    """The cache as the use cases see it: read through it, and tell it what changed."""

    def __init__(
        self, remote: RedisCache | None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._remote = remote
        self._monotonic = monotonic
        self._local: TLRUCache[str, _Entry] = TLRUCache(
            LOCAL_ENTRIES_MAX, ttu=lambda _key, entry, now: now + entry.ttl_seconds, timer=monotonic
        )
        self._flights: dict[str, asyncio.Task[bytes]] = {}
        self._unforgotten: dict[str, float] = {}
        self._distrust_until = 0.0

    async def start(self) -> None:
        """Listen for what other processes change."""
        if self._remote is not None:
            await self._remote.start(on_forgotten=self._drop, on_silence=self._drop_everything)

    async def stop(self) -> None:
        """Let go of Redis."""
        if self._remote is not None:
            await self._remote.stop()

    async def through(self, key: str, ttl_seconds: float, load: Load) -> bytes:
        """Return what is remembered under `key`, or what `load` returns, and remember that.

        However many ask at once, one loads. Only what `load` raises is raised.
        """
        known = self._local.get(key)
        if known is not None:
            return known.value
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.create_task(self._fetch(key, ttl_seconds, load))
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._land(key, done))
        # Shielded: one caller who hangs up must not take the others' answer along.
        return await asyncio.shield(flight)

    async def forget(self, key: str, ttl_seconds: float) -> None:
        """Drop a key everywhere, after the commit that made it untrue. Never raises."""
        self._drop(key)
        if self._remote is not None and not await self._remote.forget(key, ttl_seconds):
            self._remember_unforgotten(key, ttl_seconds)

    async def _fetch(self, key: str, ttl_seconds: float, load: Load) -> bytes:
        if self._remote is None or not self._trusts(key):
            value = await load()
            if self._remote is None:
                self._keep(key, value, ttl_seconds)
            return value
        found, tag = await self._remote.get(key, ttl_seconds)
        if found is None:
            found = await load()
            if tag is not None and len(found) <= VALUE_BYTES_MAX:
                await self._remote.put(key, found, ttl_seconds, tag)
        if self._remote.listening:
            self._keep(key, found, min(ttl_seconds, LOCAL_TTL_SECONDS_MAX))
        return found

    def _keep(self, key: str, value: bytes, ttl_seconds: float) -> None:
        # Dropped meanwhile: what this flight read may be older than the change.
        if self._flights.get(key) is asyncio.current_task() and len(value) <= VALUE_BYTES_MAX:
            self._local[key] = _Entry(value, ttl_seconds)

    def _land(self, key: str, flight: "asyncio.Task[bytes]") -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # Seen, even if every caller has hung up.

    def _drop(self, key: str) -> None:
        self._local.pop(key, None)
        self._flights.pop(key, None)

    def _drop_everything(self) -> None:
        self._local.clear()
        self._flights.clear()

    def _trusts(self, key: str) -> bool:
        now = self._monotonic()
        if now < self._distrust_until:
            return False
        until = self._unforgotten.get(key)
        if until is not None and until <= now:
            del self._unforgotten[key]
        return until is None or until <= now

    def _remember_unforgotten(self, key: str, ttl_seconds: float) -> None:
        until = self._monotonic() + ttl_seconds
        self._unforgotten[key] = until
        if len(self._unforgotten) > UNFORGOTTEN_KEYS_MAX:
            # Too many to name: trust nothing until the last of them has expired.
            self._distrust_until = max(self._distrust_until, *self._unforgotten.values())
            self._unforgotten.clear()
