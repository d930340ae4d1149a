"""Everything about market data, built once and used twice: in the API and in the Price API.

Whatever is built here must do without the vault's keys and without the one that signs logins.
"""

from backend.app.clock import Clock
from backend.app.config import Settings
from backend.app.database import Database
from backend.app.exchanges.market_source import MarketSource, MarketSourceSettings
from backend.app.exchanges.registry import ExchangeId
from backend.app.services.cache_service import CacheService
from backend.app.services.live.announcer import Announcer
from backend.app.services.market.candle_builder import CandleBuilder
from backend.app.services.market.candle_retention import Retention
from backend.app.services.market.internal_door import InternalDoor
from backend.app.services.market.public_markets import PublicMarkets
from backend.app.services.market.time_storage import TimeStorage
from backend.app.workers.partition_keeper import PartitionKeeper
from backend.app.workers.runner import Worker


class MarketContainer:
    """The services of market data. `source` is the real one unless a test brings its own."""

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database,
        cache: CacheService,
        announcer: Announcer,
        clock: Clock,
        source: PublicMarkets | None = None,
    ) -> None:
        self.settings = settings.market
        self.source = source or _real_source(settings, clock)
        self.internal_door = InternalDoor(settings.market.internal_api_key)
        self._database = database
        self._cache = cache
        self._announcer = announcer
        self._clock = clock
        self.storage = TimeStorage(database, Retention.of(settings.market), clock)
        self.candle_builder = CandleBuilder(database, self.storage, announcer, clock)

    def workers(self) -> tuple[Worker, ...]:
        """Return what keeps market data fresh. Only the price role and `up` run it."""
        return (PartitionKeeper(self.storage),)

    async def close(self) -> None:
        """Let go of the exchanges."""
        await self.source.close()


def _real_source(settings: Settings, clock: Clock) -> MarketSource:
    moved = settings.market.binance_base_url
    return MarketSource(
        MarketSourceSettings(
            mode=settings.exchange.exchange_mode,
            sandbox_url=settings.exchange.sandbox_url,
            base_urls={} if moved is None else {ExchangeId.BINANCE.value: moved},
        ),
        clock,
    )
