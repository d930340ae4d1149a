"""SQL for what the bank was told. Written once, never changed. Nothing here commits."""

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.errors import SettlementNotFound
from backend.app.models.settlement import Settlement

_COLUMNS = tuple(Settlement.__table__.columns.keys())


class SettlementRepository:
    """Payouts by the id of their withdrawal."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def keep_first(self, settlement: Settlement) -> Settlement:
        """Write a payout unless there is one of its id; return the one that stands.

        Whoever is second waits for the first to be committed.
        """
        values = {name: getattr(settlement, name) for name in _COLUMNS}
        written = await self._session.execute(
            insert(Settlement)
            .values(values)
            .on_conflict_do_nothing()
            .returning(Settlement.withdrawal_id)
        )
        if written.one_or_none() is not None:
            return settlement
        return await self.get(settlement.withdrawal_id)

    async def get(self, withdrawal_id: int) -> Settlement:
        """Return what became of a withdrawal.

        Raises:
            SettlementNotFound: the bank was never told of it.
        """
        found = await self._session.get(Settlement, withdrawal_id)
        if found is None:
            raise SettlementNotFound("No payout of this id was ever asked for.")
        return found
