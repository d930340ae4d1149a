"""A house that keeps alerts, a Price API beside it, and prices as a test tells them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from backend.app.clock import Clock
from backend.app.config import Settings
from backend.app.container import Container
from backend.app.enums import NotificationKind
from backend.app.schemas.price_alert_schemas import PriceAlertCreate, PriceAlertShown
from backend.app.services.market.price_observer import PriceChange
from backend.app.services.price_alert_watch import PriceAlertWatch, keep_price_news
from backend.app.workers.price_alert_keeper import PriceAlertKeeper
from backend.tests.support.people import Person
from backend.tests.support.price_house import PriceHouse, price_house
from backend.tests.support.webhooks import principal_of, quiet_house

SYMBOL = "BTC/USDT"


@dataclass
class AlertHouse:
    """The API's services, and the Price API's."""

    services: Container
    prices: PriceHouse

    async def price(self, **prices: str) -> None:
        """Refresh to these prices: `BTC_USDT="50000"`."""
        self.prices.markets.tell(**prices)
        await self.prices.refresh()

    async def keep(self) -> None:
        """Let fire what fires."""
        await PriceAlertKeeper(self.services.notices.alert_watch).tick()

    async def alert(self, owner: Person, **members: Any) -> PriceAlertShown:
        """Make an alert of somebody."""
        asked = {"symbol": SYMBOL, "condition": "above", "threshold": "60000", **members}
        return await self.services.notices.alerts.create(
            principal_of(owner), PriceAlertCreate(**asked)
        )

    async def told(self, owner: Person) -> list[dict[str, Any]]:
        """Return what somebody was told of prices, the oldest first."""
        page = await self.services.notifications.page(owner.user_id, 200, None)
        events = [each for each in page.items if each.kind is NotificationKind.PRICE_ALERT]
        return [each.facts for each in reversed(events)]


@asynccontextmanager
async def alert_house(
    settings: Settings, url: str, clock: Clock, **prices: str
) -> AsyncIterator[AlertHouse]:
    """Build both, with these prices told, and let go of them at the end."""
    async with (
        price_house(url, clock, symbols=["BTC/USDT", "ETH/USDT"]) as beside,
        quiet_house(settings, url, clock) as services,
    ):
        house = AlertHouse(services, beside)
        await house.price(**(prices or {"BTC_USDT": "50000", "ETH_USDT": "3000"}))
        yield house


async def change(services: Container, price: str, at: datetime, symbol: str = SYMBOL) -> None:
    """Write down a changed price, as the refresher does in its transaction."""
    async with services.database.transaction() as session:
        changed = PriceChange(symbol, Decimal(price), None, "binance", at)
        await keep_price_news(session, [changed])


def watch(services: Container, batch_max: int) -> PriceAlertWatch:
    """Return an evaluator that takes small steps."""
    return PriceAlertWatch(services.database, services.clock, batch_max)
