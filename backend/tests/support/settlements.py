"""A settlement in memory, and what became of withdrawals."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from backend.app.clock import Clock
from backend.app.credit_container import CreditContainer
from backend.app.database import Database
from backend.app.services.settlement.verdicts import (
    NotAsked,
    Payout,
    Refused,
    Settled,
    Silence,
    Unknown,
    Verdict,
)

AWAY = "away"
LOST = "lost"
LOST_REPLY = "lost_reply"
REFUSED = "refused"


class FakeSettlement:
    """Pays as a settlement does: once for each id, and what it decided stays so.

    `next_faults` are met in turn: away, lost (nothing done), lost_reply (done, and not said),
    refused (for good). After them, everything is paid.
    """

    def __init__(self) -> None:
        self.decided: dict[int, Verdict] = {}
        self.paid: dict[int, Decimal] = {}
        self.asked: list[int] = []
        self.next_faults: list[str | None] = []
        self.open_door = asyncio.Event()
        self.open_door.set()
        self.meanwhile: Callable[[], None] = lambda: None

    async def pay(self, payout: Payout) -> Verdict:
        """Decide, or say again what was decided."""
        self.asked.append(payout.withdrawal_id)
        fault = self.next_faults.pop(0) if self.next_faults else None
        await self.open_door.wait()
        self.meanwhile()
        if fault == AWAY:
            return NotAsked()
        if fault == LOST:
            return Unknown(Silence.NO_ANSWER)
        verdict = self.decided.setdefault(
            payout.withdrawal_id, Refused("refused_by_bank") if fault == REFUSED else Settled()
        )
        if isinstance(verdict, Settled):
            self.paid[payout.withdrawal_id] = payout.amount
        return Unknown(Silence.NO_ANSWER) if fault == LOST_REPLY else verdict

    async def close(self) -> None:
        """Hold nothing."""


@asynccontextmanager
async def settling(
    database: Database, clock: Clock, settlement: FakeSettlement, *, later: bool = False
) -> AsyncIterator[CreditContainer]:
    """Run credit with a settlement, until the block ends."""
    credit = CreditContainer(database, clock, settlement, settles_later=later)
    await credit.start()
    try:
        yield credit
    finally:
        for worker in credit.workers():
            await worker.close()
        await credit.stop()


async def settle_due(credit: CreditContainer) -> None:
    """Let the courier work once."""
    courier = next(each for each in credit.workers() if each.name == "settlement-courier")
    await courier.tick()


async def withdrawal_rows(database: Database) -> list[dict[str, Any]]:
    """Return the withdrawals, the oldest first."""
    async with database.snapshot() as session:
        found = await session.execute(text("SELECT * FROM withdrawals ORDER BY id"))
        return [dict(row._mapping) for row in found]
