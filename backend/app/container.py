"""The composition root: everything is built here, once, and handed what it uses."""

import hmac
from datetime import timedelta
from typing import Final

from pydantic import SecretStr

from backend.app.channel_message import BOOK, ORDERS, PRICES
from backend.app.clock import Clock, utc_now
from backend.app.config import Settings
from backend.app.credit_container import CreditContainer
from backend.app.database import Database
from backend.app.exchanges.connector import Connector, ConnectorSettings
from backend.app.market_container import MarketContainer
from backend.app.notice_container import NoticeContainer
from backend.app.repositories.audit_appender import AuditAppender
from backend.app.services.account_service import AccountService
from backend.app.services.address_limit import AddressLimit
from backend.app.services.anchor_file import AnchorFile
from backend.app.services.api_key_guard import ApiKeyGuard
from backend.app.services.api_key_service import ApiKeyService
from backend.app.services.api_key_vault import ApiKeyVault
from backend.app.services.audit_service import AuditService
from backend.app.services.audit_trail_service import AuditTrailService
from backend.app.services.auth_service import AuthService
from backend.app.services.cache_service import CacheService
from backend.app.services.card_service import CARD_SHARD, CardService
from backend.app.services.credential_list import CredentialList
from backend.app.services.credential_service import CredentialService
from backend.app.services.credential_vault import CredentialVault
from backend.app.services.crypto_service import CryptoService
from backend.app.services.exchange_list_service import ExchangeListService
from backend.app.services.exchange_service import ExchangeConnector, ExchangeService
from backend.app.services.guards import Guards
from backend.app.services.health_service import HealthService
from backend.app.services.key_check import KeyCheck
from backend.app.services.key_instances import KeyInstances, new_instance_name
from backend.app.services.key_service import KeyService
from backend.app.services.key_sources import build_key_ring
from backend.app.services.key_switch import KeySwitch
from backend.app.services.live.channel_names import ChannelNames
from backend.app.services.live.live_hub import LiveHub
from backend.app.services.live.redis_fanout import RedisFanout
from backend.app.services.live_service import LiveService
from backend.app.services.login_throttle import LoginThrottling
from backend.app.services.market.front_service import FrontService
from backend.app.services.market.price_api_client import PriceApiClient
from backend.app.services.market.public_markets import PublicMarkets
from backend.app.services.notification_service import NotificationService
from backend.app.services.order_service import OrderService
from backend.app.services.passport_service import PassportService
from backend.app.services.password_service import PasswordService
from backend.app.services.profile_service import ProfileService
from backend.app.services.redis_cache import RedisCache
from backend.app.services.request_limit import RequestLimit
from backend.app.services.request_log_service import RequestLogService
from backend.app.services.rotation_service import RotationService
from backend.app.services.rotation_upkeep_service import RotationUpkeepService
from backend.app.services.session_guard import SessionGuard
from backend.app.services.settlement.settlement_client import SettlementClient
from backend.app.services.token_service import TokenService
from backend.app.services.user_service import UserService
from backend.app.services.venue.live_state import BookNow, OpenOrdersNow
from backend.app.services.venue.spot_markets import SPOT_SHARD, ShardMarkets
from backend.app.services.venue.venue_feed import VenueFeed
from backend.app.services.venue_market_service import VenueMarketService
from backend.app.services.wallet_service import WalletService
from backend.app.venue_container import VenueContainer
from backend.app.workers.anchor_keeper import AnchorKeeper
from backend.app.workers.api_key_keeper import ApiKeyKeeper
from backend.app.workers.channel_trimmer import ChannelTrimmer
from backend.app.workers.credential_watch import CredentialWatch
from backend.app.workers.instance_reporter import InstanceReporter
from backend.app.workers.live_sweep import LiveSweep
from backend.app.workers.live_watch import LiveWatch
from backend.app.workers.login_sweeper import LoginSweeper
from backend.app.workers.request_log_writer import RequestLogWriter
from backend.app.workers.rotation_keeper import RotationKeeper
from backend.app.workers.runner import WorkerRunner
from backend.app.workers.session_listener import SessionListener

_CACHE_MARK: Final = b"strongroom/cache-mark/1"


class Container:
    """The services of one process. Build it, `start` it, `stop` it.

    Market data it reads; it fetches it too only if it `keeps_market`, as `up` does, which also has
    engines of the venue whatever is set: it is every role.

    Raises:
        ConfigurationError: a secret it cannot do without is missing or damaged.
    """

    def __init__(
        self,
        settings: Settings,
        database_url: str,
        clock: Clock = utc_now,
        connector: ExchangeConnector | None = None,
        source: PublicMarkets | None = None,
        *,
        keeps_market: bool = False,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.database = Database(database_url, settings.database)
        self.health = HealthService(self.database)
        # Before everything else that reads REDIS_URL: here an unusable one is refused.
        self._cache = CacheService(self._redis_cache())
        self.request_writer = RequestLogWriter(
            self.database, settings.request_log.request_log_days, clock
        )
        self.request_log = RequestLogService(self.database)
        self.requests = RequestLimit(settings.rate_limit, settings.cache.redis_url)
        self.live = LiveHub(self.database, self._fanout())
        self._build_locks()
        self._build_login()
        self._build_vault(connector)
        self.market = MarketContainer(
            settings,
            database=self.database,
            cache=self._cache,
            announcer=self.live,
            clock=clock,
            source=source,
        )
        self.notices = NoticeContainer(
            settings.webhooks,
            database=self.database,
            crypto=self._crypto,
            names=self.market.names,
            clock=clock,
        )
        self.live.offer_snapshot(PRICES, self.market.board)
        self._build_credit()
        self._build_venue(is_every_role=keeps_market)
        self.sockets = LiveService(
            database=self.database,
            hub=self.live,
            names=ChannelNames(self.market.names, self._markets),
            now=clock,
        )
        self._build_front()
        self._workers = WorkerRunner(
            (
                self.request_writer,
                SessionListener(self.database, self.guards),
                LoginSweeper(self.database, clock),
                InstanceReporter(self.database, self._key_instances),
                self._anchors,
                ApiKeyKeeper(self.database, self.guards.keys, clock),
                RotationKeeper(self.rotation_upkeep),
                LiveSweep(self.live),
                LiveWatch(self.sockets),
                ChannelTrimmer(self.database, clock),
                *self.credit.workers(),
                *self.venue.workers(),
                *self.venue.feeders(self.feed),
                *self._watches(),
                *self.notices.workers(),
                *(self.market.workers() if keeps_market else ()),
            )
        )

    async def start(self) -> None:
        """Prove the root keys against the database, then start what runs beside the requests.

        Raises:
            ConfigurationError: the keys do not open this database.
            DatabaseUnavailable: it does not answer.
        """
        await self.open()
        self._workers.start()

    async def open(self) -> None:
        """Answer requests, with nothing running beside them: what `start` begins with.

        Raises:
            ConfigurationError: the keys do not open this database.
            DatabaseUnavailable: it does not answer.
        """
        await self._key_check.unlock()
        await self.audit.start()
        await self.credit.start()
        await self._cache.start()
        self.live.start()
        self.venue.start()

    def drain(self) -> None:
        """Take nothing on any more, and send those who listen elsewhere."""
        self.health.drain()
        self.sockets.drain()

    async def stop(self) -> None:
        """Finish what is under way, then let go of everything."""
        self.drain()
        # Requests have ended by now; what they placed is committed before anything goes.
        await self.venue.finish()
        await self._workers.stop()
        await self.venue.stop()
        await self.live.stop()
        await self._key_check.leave()
        await self._connector.close()
        self.notices.close()
        await self.market.close()
        if self._price_api is not None:
            await self._price_api.close()
        await self._cache.stop()
        await self.credit.stop()
        await self.audit.stop()
        await self._anchors.finish()
        self._passwords.close()
        await self._addresses.close()
        await self.requests.close()
        await self.database.close()

    def _build_locks(self) -> None:
        key_ring = build_key_ring(self.settings.vault)
        self._crypto = CryptoService(key_ring)
        self._key_instances = KeyInstances(key_ring, new_instance_name(), self.clock)
        self._key_check = KeyCheck(
            self.database, key_ring, self._crypto, self._key_instances, self.clock
        )
        self.keys = KeyService(self.database, key_ring, self.clock)

    def _build_login(self) -> None:
        auth = self.settings.auth
        self._passwords = PasswordService()
        self._addresses = AddressLimit(self.settings.cache.redis_url)
        tokens = TokenService(auth, self.clock)
        throttling = LoginThrottling(auth.jwt_secret, self.clock)
        key_vault = ApiKeyVault(self._crypto, auth.jwt_secret)
        self.guards = Guards(
            SessionGuard(self.database, tokens, self.clock),
            ApiKeyGuard(self.database, key_vault, self.clock),
        )
        self.auth = AuthService(
            database=self.database,
            settings=auth,
            passwords=self._passwords,
            tokens=tokens,
            guard=self.guards,
            throttling=throttling,
            addresses=self._addresses,
            now=self.clock,
        )
        self.profiles = ProfileService(
            database=self.database,
            passwords=self._passwords,
            guard=self.guards,
            throttling=throttling,
            now=self.clock,
        )
        self.users = UserService(
            database=self.database,
            passwords=self._passwords,
            guard=self.guards,
            throttling=throttling,
            now=self.clock,
        )
        self.api_keys = ApiKeyService(
            database=self.database, vault=key_vault, guards=self.guards, now=self.clock
        )

    def _build_vault(self, connector: ExchangeConnector | None) -> None:
        settings = self.settings
        environment = settings.exchange.exchange_mode
        # Who is patient with the database is so with what is recorded there: 2.5 seconds usually.
        record_wait_seconds = settings.database.database_pool_timeout_seconds / 2
        self.audit = AuditService(AuditAppender(self.database), record_wait_seconds)
        self.audit_trail = AuditTrailService(self.database, self.clock)
        anchor_file = settings.audit.audit_anchor_file
        self._anchors = AnchorKeeper(
            self.database,
            self._crypto,
            None if anchor_file is None else AnchorFile(anchor_file),
            self.clock,
        )
        self._connector = connector or self._real_connector()
        self.exchange_list = ExchangeListService(
            self._cache, settings.cache.exchange_list_ttl_seconds
        )
        vault = CredentialVault(self.database, self._crypto, self.audit, self.clock)
        exchanges = ExchangeService(self._connector, environment, self.clock)
        listed = CredentialList(
            self.database, self._cache, settings.cache.credential_list_ttl_seconds
        )
        self.credentials = CredentialService(
            database=self.database,
            vault=vault,
            exchanges=exchanges,
            listed=listed,
            environment=environment,
            now=self.clock,
        )
        switch = KeySwitch(
            database=self.database,
            vault=vault,
            exchanges=exchanges,
            listed=listed,
            now=self.clock,
        )
        self.rotations = RotationService(
            database=self.database,
            vault=vault,
            exchanges=exchanges,
            switch=switch,
            environment=environment,
            now=self.clock,
        )
        self.rotation_upkeep = RotationUpkeepService(self.database, switch, environment, self.clock)
        self.accounts = AccountService(
            database=self.database,
            vault=vault,
            exchanges=exchanges,
            environment=environment,
            now=self.clock,
        )
        self.passports = PassportService(self.database)
        self.notifications = NotificationService(self.database, self.clock)

    def _build_front(self) -> None:
        market = self.settings.market
        self._price_api: PriceApiClient | None = None
        if market.price_api_url is not None:
            self._price_api = PriceApiClient(market.price_api_url, market.internal_api_key)
        self.front = FrontService(self.database, self._price_api or self.market.prices)

    def _build_credit(self) -> None:
        settlement = self.settings.settlement
        payer = None
        if settlement.settlement_url is not None:
            payer = SettlementClient(settlement.settlement_url, settlement.settlement_token)
        self.credit = CreditContainer(
            self.database, self.clock, payer, settles_later=settlement.async_settlement
        )

    def _build_venue(self, *, is_every_role: bool) -> None:
        self.venue = VenueContainer(
            self.settings,
            database=self.database,
            clock=self.clock,
            has_engines=is_every_role or self.settings.venue.venue_engine_in_api,
        )
        self.engines = self.venue.engines
        cards = ShardMarkets(self.database, self.clock, CARD_SHARD)
        self.cards = CardService(self.database, cards, self.venue.desk(CARD_SHARD))
        spot, markets = self.venue.desk(SPOT_SHARD), ShardMarkets(self.database, self.clock)
        self._markets = markets
        environment = self.settings.exchange.exchange_mode
        self.spot_markets = VenueMarketService(self.database, markets, spot)
        self.orders = OrderService(self.database, markets, spot)
        self.wallets = WalletService(self.database, markets, spot, environment)
        self.feed = VenueFeed(
            database=self.database,
            markets=markets,
            desk=spot,
            candles=self.market.candle_builder,
            announcer=self.live,
            now=self.clock,
        )
        self.live.offer_snapshots(BOOK, lambda symbol: BookNow(markets, spot, symbol))
        self.live.offer_snapshots(
            ORDERS, lambda user_id: OpenOrdersNow(self.database, markets, spot, int(user_id))
        )

    def _watches(self) -> tuple[CredentialWatch, ...]:
        exchange = self.settings.exchange
        interval = timedelta(hours=exchange.credential_check_interval_hours)
        if not interval:
            return ()
        mode = exchange.exchange_mode
        return (CredentialWatch(self.database, self.credentials, mode, interval, self.clock),)

    def _real_connector(self) -> Connector:
        exchange = self.settings.exchange
        world = ConnectorSettings(mode=exchange.exchange_mode, sandbox_url=exchange.sandbox_url)
        return Connector(world, self.clock)

    def _fanout(self) -> RedisFanout | None:
        url = _shown(self.settings.cache.redis_url)
        return None if url is None else RedisFanout(url)

    def _redis_cache(self) -> RedisCache | None:
        url = _shown(self.settings.cache.redis_url)
        if url is None:
            return None
        # Every process of this installation marks alike, and nobody else can.
        secret = (_shown(self.settings.auth.jwt_secret) or "").encode()
        return RedisCache(url, hmac.digest(secret, _CACHE_MARK, "sha256"))


def _shown(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None
