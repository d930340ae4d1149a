"""The composition root of a process that settles and does nothing else."""

from backend.app.clock import Clock, utc_now
from backend.app.config import Settings
from backend.app.database import Database
from backend.app.services.health_service import HealthService
from backend.app.services.payout_service import PayoutService
from backend.app.services.request_limit import RequestLimit
from backend.app.services.settlement.token_door import TokenDoor, settlement_tokens
from backend.app.workers.request_log_writer import RequestLogWriter
from backend.app.workers.runner import WorkerRunner


class SettlementContainer:
    """The services of the settlement. It holds no key of the vault and none that signs logins.

    Raises:
        ConfigurationError: SETTLEMENT_TOKEN is missing or cannot be used.
    """

    def __init__(self, settings: Settings, database_url: str, clock: Clock = utc_now) -> None:
        self.settings = settings
        self.clock = clock
        self.settlement_door = TokenDoor(settlement_tokens(settings.settlement.settlement_token))
        self.database = Database(database_url, settings.database)
        self.health = HealthService(self.database)
        self.request_writer = RequestLogWriter(
            self.database, settings.request_log.request_log_days, clock
        )
        self._workers = WorkerRunner((self.request_writer,))
        self.requests = RequestLimit(settings.rate_limit, settings.cache.redis_url)
        self.payouts = PayoutService(self.database, clock)

    async def start(self) -> None:
        """Start what runs beside the requests."""
        self._workers.start()

    def drain(self) -> None:
        """Take nothing on any more."""
        self.health.drain()

    async def stop(self) -> None:
        """Let go of everything."""
        self.drain()
        await self._workers.stop()
        await self.requests.close()
        await self.database.close()
