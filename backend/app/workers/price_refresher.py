"""Keeps prices and what they stand on fresh: in one process at a time, whichever holds the lock."""

import math
import time
from collections.abc import Callable
from typing import Final

from backend.app.services.market.price_refresh import PriceRefresh
from backend.app.services.market.reference_refresh import ReferenceRefresh
from backend.app.services.market.refresher_lock import RefresherLock

REFERENCE_INTERVAL_SECONDS: Final = 6 * 3600.0


class PriceRefresher:
    """Refreshes while it holds the lock, and otherwise tries to get it."""

    name = "price-refresher"
    # How soon somebody takes over from a holder that was killed.
    interval_seconds = 1.0

    def __init__(
        self,
        lock: RefresherLock,
        prices: PriceRefresh,
        reference: ReferenceRefresh,
        refresh_interval_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock = lock
        self._prices = prices
        self._reference = reference
        self._refresh_interval_seconds = refresh_interval_seconds
        self._monotonic = monotonic
        self._reference_due = self._prices_due = -math.inf

    async def tick(self) -> None:
        """Refresh what is due, if this process is the one that refreshes."""
        if not await self._lock.hold():
            # Whoever takes over begins anew: nobody knows when the last one did.
            self._reference_due = self._prices_due = -math.inf
            return
        if self._monotonic() >= self._reference_due:
            await self._refresh_reference()
        # The sources may have taken their time.
        if self._monotonic() >= self._prices_due and await self._lock.hold():
            self._prices_due = self._monotonic() + self._refresh_interval_seconds
            await self._prices.refresh(self._lock.confirm)

    async def close(self) -> None:
        """Let another process refresh."""
        self._lock.release()

    async def _refresh_reference(self) -> None:
        self._reference_due = self._monotonic() + self._refresh_interval_seconds
        if await self._reference.refresh(self._lock.confirm):
            self._reference_due = self._monotonic() + REFERENCE_INTERVAL_SECONDS
