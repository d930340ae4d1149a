"""The feed of the spot markets on an engine, without the rest of a house."""

from backend.app.clock import utc_now
from backend.app.database import Database
from backend.app.services.live.silent_announcer import SilentAnnouncer
from backend.app.services.market.candle_builder import CandleBuilder
from backend.app.services.market.candle_retention import Retention
from backend.app.services.market.time_storage import TimeStorage
from backend.app.services.venue.engine import VenueEngine
from backend.app.services.venue.spot_markets import ShardMarkets
from backend.app.services.venue.venue_feed import VenueFeed
from backend.tests.support.settings import settings_for_tests


def feed_on(database: Database, engine: VenueEngine) -> VenueFeed:
    """Return a feed that has told as much as its place says, and announces nothing."""
    storage = TimeStorage(database, Retention.of(settings_for_tests().market), utc_now)
    announcer = SilentAnnouncer()
    return VenueFeed(
        database=database,
        markets=ShardMarkets(database, utc_now),
        desk=engine,
        candles=CandleBuilder(database, storage, announcer, utc_now),
        announcer=announcer,
        now=utc_now,
    )
