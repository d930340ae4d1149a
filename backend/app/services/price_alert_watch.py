"""Holds prices against alerts: written down by whoever refreshes, evaluated by one API at a time.

The refresher only writes down which prices changed, in its own transaction, so that a million
alerts hold up no price. Here they are taken in their order, a batch of alerts in each transaction:
an alert, its notification and how far we are change together or not at all.

Source: docs/decisions/0023-alerts-and-webhooks.md
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.channel_message import Message
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.enums import NotificationKind
from backend.app.models.notification_event import NotificationEvent
from backend.app.models.price_alert import PriceAlert, PriceNews
from backend.app.money import plain
from backend.app.repositories.notification_repository import NotificationRepository
from backend.app.repositories.price_news_repository import ChangedPrice, PriceNewsRepository
from backend.app.services.market.price_observer import PriceChange

ALERTS_PER_BATCH_MAX: Final = 500


async def keep_price_news(session: AsyncSession, changes: Sequence[PriceChange]) -> list[Message]:
    """Write down changed prices for the alerts that wait for them. An observer of prices."""
    await PriceNewsRepository(session).add(
        [ChangedPrice(each.symbol, each.price, each.as_of) for each in changes]
    )
    return []


class PriceAlertWatch:
    """Tells people what they waited for, once for each time the price gets there."""

    def __init__(
        self, database: Database, now: Clock, batch_max: int = ALERTS_PER_BATCH_MAX
    ) -> None:
        self._database = database
        self._now = now
        self._batch_max = batch_max

    async def hold_next(self) -> bool:
        """Hold the next price against some alerts; return whether there may be more to do."""
        async with self._database.transaction() as session:
            repository = PriceNewsRepository(session)
            if not await repository.take_turn():
                return False
            news = await repository.oldest()
            if news is None:
                return False
            # What fires rests, and what rests is armed by a price on the other side: never by this.
            fired = await repository.fire(news, self._batch_max)
            armed = await repository.arm_again(news, self._batch_max)
            await NotificationRepository(session).add(
                *(_event(alert, news, self._now) for alert in fired)
            )
            is_heard = await repository.is_heard(news)
            if is_heard:
                await repository.remove(news)
            # If all that is left is being changed by its owner, there is time to wait.
            return is_heard or bool(fired) or bool(armed)


def _event(alert: PriceAlert, news: PriceNews, now: Clock) -> NotificationEvent:
    facts: dict[str, Any] = {
        "alert_id": alert.id,
        "symbol": alert.symbol,
        "condition": alert.condition,
        "threshold": plain(alert.threshold),
        "reference_price": plain(alert.reference_price),
        "price": plain(news.price),
        "as_of": news.at.isoformat(),
        "note": alert.note,
    }
    return NotificationEvent(
        user_id=alert.user_id,
        kind=NotificationKind.PRICE_ALERT.value,
        facts=facts,
        created_at=now(),
    )
