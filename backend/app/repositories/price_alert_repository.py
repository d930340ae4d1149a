"""SQL for price alerts as their owners see them. Every query names the owner; none commits."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.errors import PriceAlertNotFound
from backend.app.models.latest_price import LatestPrice
from backend.app.models.price_alert import PRICE_NEWS_NUMBERS, PriceAlert


class PriceAlertRepository:
    """The price alerts of people."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def hold_price(self, symbol: str) -> LatestPrice | None:
        """Return the latest price, which does not change until the block ends."""
        found: LatestPrice | None = await self._session.scalar(
            select(LatestPrice).where(LatestPrice.symbol == symbol).with_for_update(read=True)
        )
        return found

    async def next_number(self) -> int:
        """Draw a number: prices told from now on have higher ones, if theirs is held."""
        return await self._session.scalar(select(PRICE_NEWS_NUMBERS.next_value())) or 0

    async def list(self, owner_id: int) -> Sequence[PriceAlert]:
        """Return the owner's alerts, the newest first. `count` bounds how many there can be."""
        found = await self._session.scalars(
            select(PriceAlert).where(PriceAlert.user_id == owner_id).order_by(PriceAlert.id.desc())
        )
        return found.all()

    async def get(self, owner_id: int, alert_id: int) -> PriceAlert:
        """Return one alert of this owner.

        Raises:
            PriceAlertNotFound: absent, or another user's.
        """
        found: PriceAlert | None = await self._session.scalar(
            select(PriceAlert).where(PriceAlert.user_id == owner_id, PriceAlert.id == alert_id)
        )
        if found is None:
            raise PriceAlertNotFound
        return found

    async def count(self, owner_id: int) -> int:
        """Return how many alerts the owner has, whatever has become of them."""
        counted = await self._session.scalar(
            select(func.count()).where(PriceAlert.user_id == owner_id)
        )
        return counted or 0

    async def add(self, alert: PriceAlert) -> None:
        """Write a new alert."""
        self._session.add(alert)
        await self._session.flush()

    async def change(self, owner_id: int, alert_id: int, values: Mapping[str, Any]) -> PriceAlert:
        """Change some columns of one alert.

        Raises:
            PriceAlertNotFound: absent, or another user's.
        """
        changed: PriceAlert | None = await self._session.scalar(
            update(PriceAlert)
            .where(PriceAlert.user_id == owner_id, PriceAlert.id == alert_id)
            .values(**values)
            .returning(PriceAlert)
            .execution_options(populate_existing=True)
        )
        if changed is None:
            raise PriceAlertNotFound
        return changed

    async def delete(self, owner_id: int, alert_id: int) -> None:
        """Delete one alert.

        Raises:
            PriceAlertNotFound: absent, or another user's.
        """
        gone = await self._session.execute(
            delete(PriceAlert)
            .where(PriceAlert.user_id == owner_id, PriceAlert.id == alert_id)
            .returning(PriceAlert.id)
        )
        if gone.one_or_none() is None:
            raise PriceAlertNotFound
