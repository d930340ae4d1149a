"""Everything about leading shards of the venue and reaching those that others lead, built once."""

import asyncio
from typing import Final

from backend.app.clock import Clock
from backend.app.config import Settings
from backend.app.database import Database
from backend.app.errors import ConfigurationError
from backend.app.repositories.venue_ledger import VenueLedger
from backend.app.services.card_service import CARD_SHARD
from backend.app.services.keyed_hash import KeyedHash
from backend.app.services.venue.correspondence import VenueCorrespondence
from backend.app.services.venue.engine import VenueEngine
from backend.app.services.venue.leaders import VenueLeaders
from backend.app.services.venue.mailbox import Mailbox
from backend.app.services.venue.remote import RemoteVenue
from backend.app.services.venue.router import VenueRouter
from backend.app.services.venue.seal import Seal
from backend.app.services.venue.spot_markets import SPOT_SHARD
from backend.app.services.venue.streams import VenueStreams
from backend.app.services.venue.venue_feed import VenueFeed
from backend.app.workers.runner import Worker
from backend.app.workers.venue_courier import VenueCourier
from backend.app.workers.venue_feeder import VenueFeeder

SHARDS: Final = (CARD_SHARD, SPOT_SHARD)
_SEAL: Final = "venue-seal"


class VenueContainer:
    """The engines of this process, if it has any, and the post to others, if there is a Redis.

    Raises:
        ConfigurationError: it has neither; or letters cannot be sealed for want of JWT_SECRET.
    """

    def __init__(
        self, settings: Settings, *, database: Database, clock: Clock, has_engines: bool
    ) -> None:
        led = SHARDS if has_engines else ()
        self.engines = {shard: VenueEngine(VenueLedger(database, shard), clock) for shard in led}
        self._post = None
        if settings.cache.redis_url is not None:
            seal = Seal(KeyedHash(settings.auth.jwt_secret, _SEAL))
            streams = VenueStreams(settings.cache.redis_url.get_secret_value())
            self._post = _Post(streams, seal, self.engines, clock)
        elif not has_engines:
            raise ConfigurationError(
                "REDIS_URL is not set: with VENUE_ENGINE_IN_API=false, orders reach their engine "
                "through it. Expected form: redis://[:PASSWORD@]HOST:6379/0"
            )

    def desk(self, shard: int) -> VenueRouter:
        """Return the way to a shard, wherever it is led."""
        remote = None if self._post is None else RemoteVenue(shard, self._post.correspondence)
        return VenueRouter(self.engines.get(shard), remote)

    def workers(self) -> tuple[Worker, ...]:
        """Return what runs beside the requests."""
        couriers = () if self._post is None else (self._post.courier,)
        return (*self.engines.values(), *couriers)

    def feeders(self, feed: VenueFeed) -> tuple[Worker, ...]:
        """Return what tells of the spot markets, wherever their engine may lead."""
        engine = self.engines.get(SPOT_SHARD)
        return () if engine is None else (VenueFeeder(engine, feed),)

    def start(self) -> None:
        """Begin to hear other processes."""
        if self._post is not None:
            self._post.start()

    async def finish(self) -> None:
        """Take nothing more, and let what was taken be committed and answered."""
        await asyncio.gather(*(engine.stop() for engine in self.engines.values()))
        if self._post is not None:
            await self._post.courier.finish()

    async def stop(self) -> None:
        """Send the last answers and fall silent. The workers have stopped."""
        if self._post is not None:
            await self._post.stop()


class _Post:
    """What asks other processes of the venue, and answers them."""

    def __init__(
        self, streams: VenueStreams, seal: Seal, engines: dict[int, VenueEngine], clock: Clock
    ) -> None:
        self._streams = streams
        self._mailbox = Mailbox(streams, seal)
        leaders = VenueLeaders(streams, seal, self._mailbox.name, SHARDS)
        self.courier = VenueCourier(engines, self._mailbox, leaders, clock)
        self.correspondence = VenueCorrespondence(self._mailbox, leaders, clock)

    def start(self) -> None:
        self._mailbox.start(self.courier.hear, self.correspondence.hear)

    async def stop(self) -> None:
        await self._mailbox.stop()
        await self._streams.close()
