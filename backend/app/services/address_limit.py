"""How often one network address may try to sign in or register.

The windows live in Redis when several processes share one, otherwise in this process. Redis is a
convenience here: when it fails, the process counts alone and nobody's login does.
"""

import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import Final

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError
from pydantic import SecretStr
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from backend.app.errors import AddressThrottled

ATTEMPTS_PER_MINUTE: Final = 20
_REDIS_TIMEOUT_SECONDS: Final = 0.2
_REDIS_PAUSE_SECONDS: Final = 5.0
_IPV6_NETWORK_BITS: Final = 64
_ADDRESS_BITS_IPV6: Final = 128


class AddressLimit:
    """Counts attempts by address and kind, over a moving minute."""

    def __init__(
        self, redis_url: SecretStr | None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = RateLimitItemPerMinute(ATTEMPTS_PER_MINUTE)
        self._alone = MovingWindowRateLimiter(MemoryStorage())
        self._storage = _shared_storage(redis_url)
        self._shared = MovingWindowRateLimiter(self._storage) if self._storage else None
        self._monotonic = monotonic
        self._shared_again_at = 0.0

    async def take(self, kind: str, address: str) -> None:
        """Count one attempt.

        Raises:
            AddressThrottled: this address has used its attempts of the last minute.
        """
        subject = network_of(address)
        if self._shared is not None and self._monotonic() >= self._shared_again_at:
            try:
                await self._take(self._shared, kind, subject)
            except (StorageError, OSError, TimeoutError):
                # One slow answer is paid; the next attempts do not wait for it again.
                self._shared_again_at = self._monotonic() + _REDIS_PAUSE_SECONDS
            else:
                return
        await self._take(self._alone, kind, subject)

    async def close(self) -> None:
        """Let go of Redis."""
        if self._storage is not None:
            await self._storage.bridge.storage.aclose()  # type: ignore[attr-defined]

    async def _take(self, limiter: MovingWindowRateLimiter, kind: str, subject: str) -> None:
        if await limiter.hit(self._limit, kind, subject):
            return
        window = await limiter.get_window_stats(self._limit, kind, subject)
        # The library counts in wall time.
        wait_seconds = max(1, ceil(window.reset_time - time.time()))
        raise AddressThrottled(
            "Too many attempts from your network address.", retry_after_seconds=wait_seconds
        )


def network_of(address: str) -> str:
    """Return what counts as one address: an IPv4 address, or an IPv6 /64, which one house has."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    host_bits = _ADDRESS_BITS_IPV6 - _IPV6_NETWORK_BITS
    return str(IPv6Address(int(parsed) >> host_bits << host_bits))


def _shared_storage(redis_url: SecretStr | None) -> RedisStorage | None:
    if redis_url is None:
        return None
    url = redis_url.get_secret_value()
    return RedisStorage(
        # The library's own way of writing a Unix socket.
        "async+" + (f"redis+{url}" if url.startswith("unix:") else url),
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix="strongroom:limits",
        socket_timeout=_REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=_REDIS_TIMEOUT_SECONDS,
        # redis-py would try again for seconds.
        retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]
    )
