"""The composition root of a process that serves prices and nothing else."""

import hmac
import secrets
from typing import Final

from backend.app.clock import Clock, utc_now
from backend.app.config import Settings
from backend.app.database import Database
from backend.app.market_container import MarketContainer
from backend.app.services.cache_service import CacheService
from backend.app.services.health_service import HealthService
from backend.app.services.live.live_hub import LiveHub
from backend.app.services.live.redis_fanout import RedisFanout
from backend.app.services.market.public_markets import PublicMarkets
from backend.app.services.redis_cache import RedisCache
from backend.app.services.request_limit import RequestLimit
from backend.app.workers.request_log_writer import RequestLogWriter
from backend.app.workers.runner import WorkerRunner

_CACHE_MARK: Final = b"strongroom/price-cache-mark/1"


class PricesContainer:
    """The services of the Price API. It holds no key of the vault and none that signs logins."""

    def __init__(
        self,
        settings: Settings,
        database_url: str,
        clock: Clock = utc_now,
        source: PublicMarkets | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.database = Database(database_url, settings.database)
        self.health = HealthService(self.database)
        self._cache = CacheService(_redis_cache(settings))
        self.request_writer = RequestLogWriter(
            self.database, settings.request_log.request_log_days, clock
        )
        self.requests = RequestLimit(settings.rate_limit, settings.cache.redis_url)
        # Nobody listens here; the processes that serve the API are told through Redis.
        self.live = LiveHub(self.database, _fanout(settings))
        self.market = MarketContainer(
            settings,
            database=self.database,
            cache=self._cache,
            announcer=self.live,
            clock=clock,
            source=source,
        )
        self._workers = WorkerRunner((self.request_writer, *self.market.workers()))

    async def start(self) -> None:
        """Start what runs beside the requests."""
        await self._cache.start()
        self.live.start()
        self._workers.start()

    def drain(self) -> None:
        """Take nothing on any more."""
        self.health.drain()

    async def stop(self) -> None:
        """Finish what is under way, then let go of everything."""
        self.drain()
        await self._workers.stop()
        await self.live.stop()
        await self.market.close()
        await self._cache.stop()
        await self.requests.close()
        await self.database.close()


def _fanout(settings: Settings) -> RedisFanout | None:
    url = settings.cache.redis_url
    return None if url is None else RedisFanout(url.get_secret_value())


def _redis_cache(settings: Settings) -> RedisCache | None:
    if settings.cache.redis_url is None:
        return None
    # Price roles that share the key read what one of them stored; without it each reads its own.
    # The API marks by its own secret: what either stored counts for nothing with the other.
    internal = settings.market.internal_api_key
    secret = internal.get_secret_value().encode() if internal else secrets.token_bytes(32)
    return RedisCache(
        settings.cache.redis_url.get_secret_value(), hmac.digest(secret, _CACHE_MARK, "sha256")
    )
