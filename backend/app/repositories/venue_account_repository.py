"""SQL for the accounts of the venue that are no users', and for what an account may look back on.

Only the engine writes orders, fills and money (`venue_ledger.py`); here accounts get their ids.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.models.venue import Fill, Order, VenueAccount, VenueTransfer
from backend.app.repositories.venue_repository import OPEN_STATUSES


class PaidOrder(NamedTuple):
    """An order, and what its fills paid in fees together."""

    order: Order
    fee: Decimal


class VenueAccountRepository:
    """One account's orders and transfers, as they are committed."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def ensure(self, name: str, at: datetime) -> int:
        """Return the id of the account of that name, which is made if there is none."""
        await self._session.execute(
            insert(VenueAccount).values(name=name, created_at=at).on_conflict_do_nothing()
        )
        found = await self._session.scalars(
            select(VenueAccount.id).where(VenueAccount.name == name)
        )
        return found.one()

    async def order(self, account_id: int, order_id: int) -> PaidOrder | None:
        """Return one of an account's orders."""
        found = await self._orders(account_id, 1, Order.id == order_id)
        return found[0] if found else None

    async def has_named(self, account_id: int, client_order_id: str) -> bool:
        """Return whether an account has an order of that name, open or ended."""
        found = await self._session.scalar(
            select(Order.id).where(
                Order.account_id == account_id, Order.client_order_id == client_order_id
            )
        )
        return found is not None

    async def orders(
        self, account_id: int, instrument_id: int | None, rows_max: int
    ) -> Sequence[PaidOrder]:
        """Return an account's last orders, the newest first."""
        return await self._orders(account_id, rows_max, *_of(instrument_id))

    async def open_orders(
        self,
        account_id: int,
        instrument_id: int | None,
        rows_max: int,
        *,
        among: Sequence[int] | None = None,
    ) -> Sequence[PaidOrder]:
        """Return an account's last open orders, newest first; `among` says which it can be."""
        where = [Order.status.in_(OPEN_STATUSES), *_of(instrument_id)]
        if among is not None:
            where.append(Order.id.in_(among[:rows_max]))
        return await self._orders(account_id, rows_max, *where)

    async def order_news(
        self, account_id: int, after_id: int, watched: Collection[int], rows_max: int
    ) -> Sequence[PaidOrder]:
        """Return an account's orders above an id, and those watched, the newest first."""
        return await self._orders(
            account_id, rows_max, or_(Order.id > after_id, Order.id.in_(watched))
        )

    async def transfers(self, account_id: int, rows_max: int) -> Sequence[VenueTransfer]:
        """Return what came into an account from outside or left it, the newest first."""
        found = await self._session.scalars(
            select(VenueTransfer)
            .where(VenueTransfer.account_id == account_id)
            .order_by(VenueTransfer.number.desc())
            .limit(rows_max)
        )
        return found.all()

    async def _orders(
        self, account_id: int, rows_max: int, *where: ColumnElement[bool]
    ) -> Sequence[PaidOrder]:
        paid = select(func.sum(Fill.fee)).where(Fill.order_id == Order.id).scalar_subquery()
        found = await self._session.execute(
            select(Order, func.coalesce(paid, 0))
            .where(Order.account_id == account_id, *where)
            .order_by(Order.id.desc())
            .limit(rows_max)
        )
        return [PaidOrder(order, Decimal(fee)) for order, fee in found]


def _of(instrument_id: int | None) -> tuple[ColumnElement[bool], ...]:
    return () if instrument_id is None else (Order.instrument_id == instrument_id,)
