"""SQL for withdrawals that are booked already. Nothing here commits."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.errors import WithdrawalNotFound
from backend.app.models.withdrawal import Withdrawal


class WithdrawalRepository:
    """Withdrawals, as their merchants and as the settlement see them."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, owner_id: int, withdrawal_id: int) -> Withdrawal:
        """Return one of a merchant's own withdrawals.

        Raises:
            WithdrawalNotFound: absent, or another merchant's.
        """
        found = await self._session.execute(
            select(Withdrawal).where(Withdrawal.user_id == owner_id, Withdrawal.id == withdrawal_id)
        )
        return _found(found.scalar_one_or_none())

    async def page(
        self, owner_id: int, before_id: int | None, rows_max: int
    ) -> Sequence[Withdrawal]:
        """Return a merchant's withdrawals, the newest first."""
        wanted = select(Withdrawal).where(Withdrawal.user_id == owner_id)
        if before_id is not None:
            wanted = wanted.where(Withdrawal.id < before_id)
        found = await self._session.execute(wanted.order_by(Withdrawal.id.desc()).limit(rows_max))
        return found.scalars().all()

    async def hold(self, withdrawal_id: int) -> Withdrawal:
        """Return any withdrawal, held until the block ends; for whoever settles it.

        Raises:
            WithdrawalNotFound: there is none of that id.
        """
        found = await self._session.execute(
            select(Withdrawal).where(Withdrawal.id == withdrawal_id).with_for_update(),
            execution_options={"populate_existing": True},
        )
        return _found(found.scalar_one_or_none())


def _found(withdrawal: Withdrawal | None) -> Withdrawal:
    if withdrawal is None:
        raise WithdrawalNotFound("There is no such withdrawal.")
    return withdrawal
