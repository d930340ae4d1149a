"""Carries messages to webhooks, many at once, and none so long that the others wait for it."""

import asyncio
from typing import Final

from backend.app.services.webhook_delivery_service import WebhookDeliveryService

AT_ONCE_MAX: Final = 32
ROUNDS_PER_TICK_MAX: Final = 100


class WebhookCourier:
    """Delivers what waits, in this process, beside the couriers of the others."""

    name = "webhook-courier"
    interval_seconds = 1.0

    def __init__(self, deliveries: WebhookDeliveryService) -> None:
        self._deliveries = deliveries
        self._under_way: dict[asyncio.Task[None], int] = {}

    async def tick(self) -> None:
        """Set out with what is due; whenever somebody comes back, look again."""
        for _ in range(ROUNDS_PER_TICK_MAX):
            await self._set_out()
            if not self._under_way:
                return
            await asyncio.wait(
                self._under_way,
                timeout=self.interval_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            self._welcome_back()

    async def close(self) -> None:
        """Break off what is under way: other couriers take it up when its claim lapses."""
        tasks, self._under_way = list(self._under_way), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _set_out(self) -> None:
        places = AT_ONCE_MAX - len(self._under_way)
        if not places:
            return
        busy = set(self._under_way.values())
        for claimed in await self._deliveries.claim(places, busy):
            task = asyncio.create_task(self._deliveries.deliver(claimed), name=self.name)
            self._under_way[task] = claimed.webhook_id

    def _welcome_back(self) -> None:
        done = [task for task in self._under_way if task.done()]
        for task in done:
            del self._under_way[task]
        failures = [error for task in done if (error := task.exception())]
        if failures:
            # The house's own trouble (database, vault): the first says enough.
            raise failures[0]
