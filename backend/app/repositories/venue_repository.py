"""SQL for what traders may read of the venue. Only the engine writes (`venue_ledger.py`)."""

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import ColumnElement, and_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.models.venue import Fill, Instrument, Order, Trade
from backend.app.repositories.venue_reading import first_number
from backend.app.venue.batch import OrderStatus

OPEN_STATUSES: Final = (OrderStatus.WAITING, OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)


class VenueRepository:
    """Instruments, orders, trades and fills as they are committed."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def instruments(self, shard: int) -> Sequence[Instrument]:
        """Return what is traded on a shard."""
        found = await self._session.scalars(
            select(Instrument).where(Instrument.shard == shard).order_by(Instrument.id)
        )
        return found.all()

    async def orders(
        self,
        account_id: int,
        shard: int,
        *,
        instrument_id: int | None = None,
        statuses: Collection[OrderStatus] | None = None,
        before: int | None = None,
        rows_max: int,
    ) -> Sequence[Order]:
        """Return an account's orders, the newest first, from before an id if one is given."""
        asked = select(Order).where(_on(account_id, shard))
        if instrument_id is not None:
            asked = asked.where(Order.instrument_id == instrument_id)
        if statuses is not None:
            asked = asked.where(Order.status.in_([each.value for each in statuses]))
        if before is not None:
            asked = asked.where(Order.id < before)
        found = await self._session.scalars(asked.order_by(Order.id.desc()).limit(rows_max))
        return found.all()

    async def orders_of_ids(self, account_id: int, ids: Collection[int]) -> Sequence[Order]:
        """Return those of an account's orders that have these ids."""
        found = await self._session.scalars(
            select(Order).where(Order.account_id == account_id, Order.id.in_(ids))
        )
        return found.all()

    async def order(self, account_id: int, shard: int, order_id: int) -> Order | None:
        """Return one of an account's orders."""
        found = await self._session.scalars(
            select(Order).where(_on(account_id, shard), Order.id == order_id)
        )
        return found.one_or_none()

    async def order_named(self, account_id: int, shard: int, client_order_id: str) -> Order | None:
        """Return an account's order of an id of its own."""
        found = await self._session.scalars(
            select(Order).where(_on(account_id, shard), Order.client_order_id == client_order_id)
        )
        return found.one_or_none()

    async def trades(
        self, instrument_id: int, before: int | None, rows_max: int
    ) -> Sequence[Trade]:
        """Return an instrument's trades, the newest first, from before an id if one is given."""
        asked = select(Trade).where(Trade.instrument_id == instrument_id)
        if before is not None:
            asked = asked.where(Trade.id < before)
        found = await self._session.scalars(asked.order_by(Trade.id.desc()).limit(rows_max))
        return found.all()

    async def fills(
        self,
        account_id: int,
        *,
        instrument_id: int | None = None,
        order_id: int | None = None,
        before: tuple[int, int] | None = None,
        rows_max: int,
    ) -> Sequence[Fill]:
        """Return an account's fills, the newest first; `before` names a trade and an order."""
        asked = select(Fill).where(Fill.account_id == account_id)
        if instrument_id is not None:
            asked = asked.where(Fill.instrument_id == instrument_id)
        if order_id is not None:
            asked = asked.where(Fill.order_id == order_id)
        if before is not None:
            # Who trades with himself has two fills of one trade.
            asked = asked.where(tuple_(Fill.trade_id, Fill.order_id) < before)
        newest = asked.order_by(Fill.trade_id.desc(), Fill.order_id.desc())
        return (await self._session.scalars(newest.limit(rows_max))).all()


def _on(account_id: int, shard: int) -> ColumnElement[bool]:
    # An order's id is its command's number, and every shard has numbers of its own.
    first, beyond = first_number(shard), first_number(shard + 1)
    return and_(Order.account_id == account_id, Order.id >= first, Order.id < beyond)
