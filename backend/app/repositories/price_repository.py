"""SQL for the last known prices. They belong to nobody, and only the refresher writes them."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.models.latest_price import LatestPrice

PRICES_MAX: Final = 400
"""Prices that are answered from: those of `SYMBOLS`, and of what it named before."""


class PriceRepository:
    """One row for each symbol that ever had a price."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of(self, symbols: Collection[str]) -> Sequence[LatestPrice]:
        """Return what is known of some symbols."""
        found = await self._session.scalars(
            select(LatestPrice).where(LatestPrice.symbol.in_(symbols))
        )
        return found.all()

    async def newest(self) -> Sequence[LatestPrice]:
        """Return the prices that were heard of last."""
        found = await self._session.scalars(
            select(LatestPrice)
            .order_by(LatestPrice.received_at.desc(), LatestPrice.symbol)
            .limit(PRICES_MAX)
        )
        return found.all()

    async def keep(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write prices, each in the place of what was known of its symbol."""
        if not rows:
            return
        added = upsert(LatestPrice).values(list(rows))
        replaced = {name: getattr(added.excluded, name) for name in rows[0] if name != "symbol"}
        await self._session.execute(
            added.on_conflict_do_update(index_elements=["symbol"], set_=replaced)
        )
