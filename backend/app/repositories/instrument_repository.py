"""SQL for what is traded, as an operator may change it."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.models.venue import Instrument

# Whoever trades reads on; whoever else changes instruments waits.
_HOLD: Final = text("LOCK TABLE instruments IN SHARE ROW EXCLUSIVE MODE")
# Ids given by hand do not move the sequence that gives the next ones.
_GO_ON: Final = text(
    "SELECT setval(pg_get_serial_sequence('instruments', 'id'), greatest(max(id),"
    " nextval(pg_get_serial_sequence('instruments', 'id')) - 1)) FROM instruments"
)


class InstrumentRepository:
    """All instruments, of every shard."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def held(self) -> Sequence[Instrument]:
        """Return all there are; nobody else changes any until the transaction ends."""
        await self._session.execute(_HOLD)
        return (await self._session.scalars(select(Instrument).order_by(Instrument.id))).all()

    async def add(self, instruments: Sequence[Instrument]) -> None:
        """Add instruments with ids of their own."""
        self._session.add_all(instruments)
        await self._session.flush()
        await self._session.execute(_GO_ON)
