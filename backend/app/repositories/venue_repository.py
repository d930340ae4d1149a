"""SQL for what traders may read of the venue. Only the engine writes (`venue_ledger.py`)."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.models.venue import Instrument, Order, Trade


class VenueRepository:
    """Instruments, orders and trades as they are committed."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def instruments(self, shard: int) -> Sequence[Instrument]:
        """Return what is traded on a shard."""
        found = await self._session.scalars(
            select(Instrument).where(Instrument.shard == shard).order_by(Instrument.id)
        )
        return found.all()

    async def latest_orders(self, account_id: int, rows_max: int) -> Sequence[Order]:
        """Return an account's orders, the newest first."""
        found = await self._session.scalars(
            select(Order)
            .where(Order.account_id == account_id)
            .order_by(Order.id.desc())
            .limit(rows_max)
        )
        return found.all()

    async def order(self, account_id: int, order_id: int) -> Order | None:
        """Return one of an account's orders."""
        found = await self._session.scalars(
            select(Order).where(Order.account_id == account_id, Order.id == order_id)
        )
        return found.one_or_none()

    async def latest_trades(self, instrument_id: int, rows_max: int) -> Sequence[Trade]:
        """Return an instrument's trades, the newest first."""
        found = await self._session.scalars(
            select(Trade)
            .where(Trade.instrument_id == instrument_id)
            .order_by(Trade.id.desc())
            .limit(rows_max)
        )
        return found.all()
