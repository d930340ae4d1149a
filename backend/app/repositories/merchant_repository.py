"""SQL for merchants. Nothing here commits."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from backend.app.enums import MerchantState
from backend.app.errors import MerchantNotFound
from backend.app.models.ledger import LedgerAccount
from backend.app.models.merchant import Merchant
from backend.app.models.user import User

_POOL = aliased(LedgerAccount)


class MerchantOnBook(NamedTuple):
    """A merchant, his name, and from approval on his account and the name of his pool."""

    merchant: Merchant
    username: str
    account: LedgerAccount | None
    pool: str | None


class MerchantRepository:
    """The merchants of the house."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, merchant: Merchant) -> None:
        """Write a new merchant, who waits to be approved."""
        self._session.add(merchant)
        await self._session.flush()

    async def find(self, user_id: int) -> MerchantOnBook | None:
        """Return one merchant, if that user is one."""
        found = await self._session.execute(_on_book().where(Merchant.user_id == user_id))
        row = found.one_or_none()
        return None if row is None else _read(row)

    async def get(self, user_id: int) -> MerchantOnBook:
        """Return one merchant.

        Raises:
            MerchantNotFound: that user is none.
        """
        found = await self.find(user_id)
        if found is None:
            raise MerchantNotFound("There is no such merchant.")
        return found

    async def hold(self, user_id: int) -> Merchant:
        """Return one merchant, held until the block ends.

        Raises:
            MerchantNotFound: that user is none.
        """
        found = await self._session.execute(
            select(Merchant).where(Merchant.user_id == user_id).with_for_update(),
            execution_options={"populate_existing": True},
        )
        merchant = found.scalar_one_or_none()
        if merchant is None:
            raise MerchantNotFound("There is no such merchant.")
        return merchant

    async def page(
        self, state: MerchantState | None, after_id: int, rows_max: int
    ) -> Sequence[MerchantOnBook]:
        """Return the next merchants by id."""
        wanted = _on_book().where(Merchant.user_id > after_id)
        if state is not None:
            wanted = wanted.where(Merchant.state == state.value)
        found = await self._session.execute(wanted.order_by(Merchant.user_id).limit(rows_max))
        return [_read(row) for row in found]


def _read(row: Row[Merchant, str, LedgerAccount, str]) -> MerchantOnBook:
    merchant, username, account, pool = row
    return MerchantOnBook(merchant, username, account, pool)


def _on_book() -> Select[Merchant, str, LedgerAccount, str]:
    return (
        select(Merchant, User.username, LedgerAccount, _POOL.name)
        .join(User, User.id == Merchant.user_id)
        .outerjoin(LedgerAccount, LedgerAccount.id == Merchant.account_id)
        .outerjoin(_POOL, _POOL.id == Merchant.pool_id)
    )
