"""Lets price alerts fire."""

from typing import Final

from backend.app.services.price_alert_watch import PriceAlertWatch

BATCHES_PER_TICK_MAX: Final = 100


class PriceAlertKeeper:
    """Holds what prices have become against alerts, a second later at the most."""

    name = "price-alert-keeper"
    interval_seconds = 1.0

    def __init__(self, watch: PriceAlertWatch) -> None:
        self._watch = watch

    async def tick(self) -> None:
        """Take a bounded number of batches; the rest waits for the next tick."""
        for _ in range(BATCHES_PER_TICK_MAX):
            if not await self._watch.hold_next():
                return

    async def close(self) -> None:
        """Hold nothing."""
