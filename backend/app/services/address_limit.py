"""How often one network address may try to sign in or register."""

import time
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import Final

from limits import RateLimitItemPerMinute
from limits.aio.strategies import MovingWindowRateLimiter
from pydantic import SecretStr

from backend.app.errors import AddressThrottled
from backend.app.services.shared_windows import REDIS_SECONDS_MAX, SharedWindows

ATTEMPTS_PER_MINUTE: Final = 20
NETWORKS_REMEMBERED_MAX: Final = 10_000
_IPV6_NETWORK_BITS: Final = 64
_ADDRESS_BITS_IPV6: Final = 128


class AddressLimit:
    """Counts attempts by address and kind, over a moving minute."""

    def __init__(
        self,
        redis_url: SecretStr | None,
        monotonic: Callable[[], float] = time.monotonic,
        redis_seconds_max: float = REDIS_SECONDS_MAX,
    ) -> None:
        self._limit = RateLimitItemPerMinute(ATTEMPTS_PER_MINUTE)
        self._windows = SharedWindows(
            MovingWindowRateLimiter, redis_url, monotonic, redis_seconds_max
        )

    async def take(self, kind: str, address: str) -> None:
        """Count one attempt.

        Raises:
            AddressThrottled: this address has used its attempts of the last minute.
        """
        subject = network_of(address)
        if await self._windows.hit(self._limit, kind, subject):
            return
        window = await self._windows.stats(self._limit, kind, subject)
        # The library counts in wall time.
        wait_seconds = max(1, ceil(window.reset_time - time.time()))
        raise AddressThrottled(
            "Too many attempts from your network address.", retry_after_seconds=wait_seconds
        )

    async def close(self) -> None:
        """Let go of Redis."""
        await self._windows.close()


# Asked for every request that nobody signed in for, and parsing one takes a while.
@lru_cache(maxsize=NETWORKS_REMEMBERED_MAX)
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
