"""A Price API without a network: its services, exchanges that say what they are told, and time."""

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from backend.app.channel_message import PRICES, Message
from backend.app.clock import Clock
from backend.app.config import MarketSettings
from backend.app.prices_container import PricesContainer
from backend.app.repositories.channel_repository import ChannelRepository
from backend.app.workers.price_refresher import PriceRefresher
from backend.tests.support.fake_markets import FakeMarkets
from backend.tests.support.settings import settings_for_tests


@dataclass
class PriceHouse:
    """One process of the Price API whose refreshes a test does by hand."""

    services: PricesContainer
    markets: FakeMarkets
    refresher: PriceRefresher

    async def refresh(self) -> None:
        """Refresh now, as if the interval were over."""
        self.refresher._prices_due = -math.inf
        await self.refresher.tick()

    async def prices(self) -> dict[str, dict[str, Any]]:
        """Return what is answered of each symbol."""
        listed = json.loads(await self.services.market.prices.list_json())
        return {price["symbol"]: price for price in listed["prices"]}

    async def missing(self) -> list[str]:
        """Return the symbols that are answered as missing."""
        missing: list[str] = json.loads(await self.services.market.prices.list_json())["missing"]
        return missing

    async def messages(self) -> list[Message]:
        """Return what listeners of prices were told."""
        async with self.services.database.snapshot() as session:
            return await ChannelRepository(session).after({PRICES: 0}, 1000)


@asynccontextmanager
async def price_house(
    database_url: str, clock: Clock, redis_url: str | None = None, **market: Any
) -> AsyncIterator[PriceHouse]:
    """Build one on a database and let go of it at the end."""
    settings = settings_for_tests()
    settings = replace(
        settings,
        market=MarketSettings(
            internal_api_key=settings.market.internal_api_key, _env_file=None, **market
        ),
        cache=settings.cache.model_copy(update={"redis_url": redis_url}),
    )
    markets = FakeMarkets(clock)
    services = PricesContainer(settings, database_url, clock, markets)
    workers = services.market.workers()
    refresher = next(each for each in workers if isinstance(each, PriceRefresher))
    # Who does not answer in time loses the lock; a busy machine takes its time.
    refresher._lock._answer_seconds_max = 60.0
    try:
        yield PriceHouse(services, markets, refresher)
    finally:
        await refresher.close()
        await services.stop()
