"""Clears away what webhooks leave behind."""

from backend.app.services.webhook_delivery_service import WebhookDeliveryService


class WebhookKeeper:
    """Deletes old deliveries, and destroys secrets whose time is over."""

    name = "webhook-keeper"
    interval_seconds = 60.0

    def __init__(self, deliveries: WebhookDeliveryService) -> None:
        self._deliveries = deliveries

    async def tick(self) -> None:
        """Clear away a bounded number of each."""
        await self._deliveries.sweep()

    async def close(self) -> None:
        """Hold nothing."""
