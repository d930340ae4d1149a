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
from backend.app.services.market.candle_follow import CandleFollow
from backend.app.services.market.candle_history import CandleHistory
from backend.app.services.market.candle_retention import Retention
from backend.app.services.market.candle_service import CandleService
from backend.app.services.market.internal_door import InternalDoor
from backend.app.services.market.price_board import PriceBoard
from backend.app.services.market.price_observer import PriceObserver
from backend.app.services.market.price_refresh import PriceRefresh
from backend.app.services.market.price_service import PriceService
from backend.app.services.market.price_sources import price_sources
from backend.app.services.market.public_markets import PublicMarkets
from backend.app.services.market.reference_refresh import ReferenceRefresh
from backend.app.services.market.reference_service import ReferenceService
from backend.app.services.market.refresher_lock import Duty, RefresherLock
from backend.app.services.market.symbol_names import SymbolNames
from backend.app.services.market.time_storage import TimeStorage
from backend.app.services.price_alert_watch import keep_price_news
from backend.app.workers.candle_follower import CandleFollower
from backend.app.workers.partition_keeper import PartitionKeeper
from backend.app.workers.price_refresher import PriceRefresher
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
        market = settings.market
        self.source = source or _real_source(settings, clock)
        self.internal_door = InternalDoor(market.internal_api_key)
        self.names = SymbolNames(database, cache, market.cache_ttl_seconds)
        self.board = PriceBoard(
            database=database,
            cache=cache,
            names=self.names,
            wanted=market.symbols,
            refresh_seconds=market.refresh_interval_seconds,
            ttl_seconds=market.cache_ttl_seconds,
        )
        self.prices = PriceService(self.board, self.names, clock)
        self.reference = ReferenceService(database, self.names)
        # Each is told of changed prices inside the transaction that writes them.
        self._price_observers: tuple[PriceObserver, ...] = (keep_price_news,)
        self._settings = market
        self._exchanges = price_sources(market)
        self._database = database
        self._announcer = announcer
        self._clock = clock
        self.storage = TimeStorage(database, Retention.of(settings.market), clock)
        self.candle_builder = CandleBuilder(database, self.storage, announcer, clock)
        self.candle_history = CandleHistory(database, self.storage, announcer, clock)
        self.candles = CandleService(
            database=database,
            cache=cache,
            names=self.names,
            exchange=self._exchanges[0],
            now=clock,
        )

    def workers(self) -> tuple[Worker, ...]:
        """Return what keeps market data fresh. Only the price role and `up` run it."""
        return (self._price_refresher(), self._candle_follower(), PartitionKeeper(self.storage))

    async def close(self) -> None:
        """Let go of the exchanges."""
        await self.source.close()

    def _candle_follower(self) -> CandleFollower:
        return CandleFollower(
            RefresherLock(self._database, Duty.CANDLES),
            CandleFollow(self.source, self.candle_history, self._clock),
            self._exchanges[0],
            self.board.configured,
            self._clock,
        )

    def _price_refresher(self) -> PriceRefresher:
        prices = PriceRefresh(
            database=self._database,
            source=self.source,
            exchanges=self._exchanges,
            board=self.board,
            announcer=self._announcer,
            observers=self._price_observers,
            now=self._clock,
        )
        reference = ReferenceRefresh(
            database=self._database,
            source=self.source,
            exchanges=self._exchanges,
            wanted=self._settings.symbols,
            names=self.names,
            now=self._clock,
        )
        interval_seconds = self._settings.refresh_interval_seconds
        return PriceRefresher(RefresherLock(self._database), prices, reference, interval_seconds)


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
