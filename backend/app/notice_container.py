"""Everything that tells people what they did not ask for just now: alerts and webhooks."""

from backend.app.clock import Clock
from backend.app.config import WebhookSettings
from backend.app.database import Database
from backend.app.services.crypto_service import CryptoService
from backend.app.services.market.symbol_names import SymbolNames
from backend.app.services.price_alert_service import PriceAlertService
from backend.app.services.price_alert_watch import PriceAlertWatch
from backend.app.services.webhook_delivery_service import WebhookDeliveryService
from backend.app.services.webhook_service import WebhookService
from backend.app.services.webhooks.address_guard import AddressGuard
from backend.app.services.webhooks.webhook_sender import WebhookSender
from backend.app.services.webhooks.webhook_vault import WebhookVault
from backend.app.workers.price_alert_keeper import PriceAlertKeeper
from backend.app.workers.runner import Worker
from backend.app.workers.webhook_courier import WebhookCourier
from backend.app.workers.webhook_keeper import WebhookKeeper


class NoticeContainer:
    """The services of telling people."""

    def __init__(
        self,
        settings: WebhookSettings,
        *,
        database: Database,
        crypto: CryptoService,
        names: SymbolNames,
        clock: Clock,
    ) -> None:
        self.alerts = PriceAlertService(database=database, names=names, now=clock)
        self.alert_watch = PriceAlertWatch(database, clock)
        guard = AddressGuard(allow_loopback=settings.webhook_allow_loopback)
        vault = WebhookVault(crypto)
        self._sender = WebhookSender(guard)
        self.webhooks = WebhookService(database=database, vault=vault, guard=guard, now=clock)
        self.deliveries = WebhookDeliveryService(
            database=database, vault=vault, sender=self._sender, now=clock
        )

    def workers(self) -> tuple[Worker, ...]:
        """Return what tells people beside the requests."""
        return (
            PriceAlertKeeper(self.alert_watch),
            WebhookCourier(self.deliveries),
            WebhookKeeper(self.deliveries),
        )

    def close(self) -> None:
        """Let go of the way out."""
        self._sender.close()
