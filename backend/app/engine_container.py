"""The composition root of a process that leads the venue, or stands by, and does nothing else."""

from backend.app.clock import Clock, utc_now
from backend.app.config import Settings
from backend.app.database import Database
from backend.app.errors import ConfigurationError
from backend.app.services.health_service import HealthService
from backend.app.services.live.live_hub import LiveHub
from backend.app.services.live.redis_fanout import RedisFanout
from backend.app.services.market.candle_builder import CandleBuilder
from backend.app.services.market.candle_retention import Retention
from backend.app.services.market.time_storage import TimeStorage
from backend.app.services.request_limit import RequestLimit
from backend.app.services.venue.spot_markets import SPOT_SHARD, ShardMarkets
from backend.app.services.venue.venue_feed import VenueFeed
from backend.app.venue_container import VenueContainer
from backend.app.workers.request_log_writer import RequestLogWriter
from backend.app.workers.runner import WorkerRunner


class EngineContainer:
    """The engines of every shard. It holds no key of the vault.

    Raises:
        ConfigurationError: REDIS_URL or JWT_SECRET is missing, so that nobody could reach it.
    """

    def __init__(self, settings: Settings, database_url: str, clock: Clock = utc_now) -> None:
        if settings.cache.redis_url is None:
            raise ConfigurationError(
                "REDIS_URL is not set: orders reach an engine of its own through it. "
                "Expected form: redis://[:PASSWORD@]HOST:6379/0"
            )
        self.settings = settings
        self.clock = clock
        self.database = Database(database_url, settings.database)
        self.health = HealthService(self.database)
        self.request_writer = RequestLogWriter(
            self.database, settings.request_log.request_log_days, clock
        )
        self.requests = RequestLimit(settings.rate_limit, settings.cache.redis_url)
        self.venue = VenueContainer(settings, database=self.database, clock=clock, has_engines=True)
        # Nobody listens here; the processes that serve the API are told through Redis.
        self._live = LiveHub(
            self.database, RedisFanout(settings.cache.redis_url.get_secret_value())
        )
        self.feed = self._feed()
        self._workers = WorkerRunner(
            (self.request_writer, *self.venue.workers(), *self.venue.feeders(self.feed))
        )

    async def start(self) -> None:
        """Lead, or stand by."""
        self.venue.start()
        self._live.start()
        self._workers.start()

    def drain(self) -> None:
        """Say that a shutdown has begun."""
        self.health.drain()

    async def stop(self) -> None:
        """Commit and answer what was taken, let another lead, then let go of everything."""
        self.drain()
        await self.venue.finish()
        await self._workers.stop()
        await self.venue.stop()
        await self._live.stop()
        await self.requests.close()
        await self.database.close()

    def _feed(self) -> VenueFeed:
        storage = TimeStorage(self.database, Retention.of(self.settings.market), self.clock)
        return VenueFeed(
            database=self.database,
            markets=ShardMarkets(self.database, self.clock),
            desk=self.venue.desk(SPOT_SHARD),
            candles=CandleBuilder(self.database, storage, self._live, self.clock),
            announcer=self._live,
            now=self.clock,
        )
