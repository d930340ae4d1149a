"""Answers remembered for a while, in this process and in Redis; never the truth, never a secret.

Reading goes through the cache to the database, and a cache that is away, slow or wrong costs time
and nothing else. A write forgets *after* its commit, and once that has returned nobody in this
process is given what was read before; nobody in another, once the notice has arrived there.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from cachetools import TLRUCache

from backend.app.services.redis_cache import RedisCache

Load = Callable[[], Awaitable[bytes]]

LOCAL_BYTES_MAX: Final = 64 * 1024 * 1024
VALUE_BYTES_MAX: Final = 65_536
# In front of Redis, notices of change arrive at once; this bounds what a lost one can cost.
LOCAL_TTL_SECONDS_MAX: Final = 5.0

# What an entry takes besides its value, roughly.
_ENTRY_BYTES: Final = 512


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
        self._local: TLRUCache[str, _Entry] = TLRUCache(
            LOCAL_BYTES_MAX,
            ttu=lambda _key, entry, now: now + entry.ttl_seconds,
            timer=monotonic,
            getsizeof=lambda entry: len(entry.value) + _ENTRY_BYTES,
        )
        # The load that callers of a key may join: none that began before the key was dropped.
        self._flights: dict[str, asyncio.Task[bytes]] = {}
        self._loading: set[asyncio.Task[bytes]] = set()

    async def start(self) -> None:
        """Listen for what other processes change."""
        if self._remote is not None:
            await self._remote.start(self._drop, self._drop_everything)

    async def stop(self) -> None:
        """End what is still loading and let go of Redis."""
        for flight in self._loading:
            flight.cancel()
        if self._loading:
            await asyncio.wait(self._loading)
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
            flight = self._take_off(key, ttl_seconds, load)
        # Shielded: one caller who hangs up must not take the others' answer along.
        return await asyncio.shield(flight)

    async def forget(self, key: str, ttl_seconds: float) -> None:
        """Drop a key everywhere, after the commit that made it untrue. Never raises."""
        self._drop(key)
        if self._remote is None:
            return
        try:
            await self._remote.forget(key, ttl_seconds)
        finally:
            # Until this moment Redis may have answered somebody as before.
            self._drop(key)

    def _take_off(self, key: str, ttl_seconds: float, load: Load) -> "asyncio.Task[bytes]":
        flight = asyncio.create_task(self._fetch(key, ttl_seconds, load))
        self._flights[key] = flight
        self._loading.add(flight)
        flight.add_done_callback(lambda done: self._land(key, done))
        return flight

    async def _fetch(self, key: str, ttl_seconds: float, load: Load) -> bytes:
        if self._remote is None:
            value = await load()
            self._keep(key, value, ttl_seconds)
            return value
        found, stamp = await self._remote.get(key, ttl_seconds)
        if found is None:
            found = await load()
            if stamp is not None and len(found) <= VALUE_BYTES_MAX:
                await self._remote.put(key, found, ttl_seconds, stamp)
        if self._remote.is_used:
            self._keep(key, found, min(ttl_seconds, LOCAL_TTL_SECONDS_MAX))
        return found

    def _keep(self, key: str, value: bytes, ttl_seconds: float) -> None:
        # Dropped meanwhile: what this flight read may be older than the change.
        if self._flights.get(key) is asyncio.current_task() and len(value) <= VALUE_BYTES_MAX:
            self._local[key] = _Entry(value, ttl_seconds)

    def _land(self, key: str, flight: "asyncio.Task[bytes]") -> None:
        self._loading.discard(flight)
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
