"""A settlement in memory, and what became of withdrawals."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import text

from backend.app.clock import Clock
from backend.app.credit_container import CreditContainer
from backend.app.database import Database
from backend.app.enums import SettlementState
from backend.app.models.settlement import Settlement
from backend.app.money import in_cents
from backend.app.repositories.payout_repository import PayoutRepository
from backend.app.repositories.settlement_repository import SettlementRepository
from backend.app.repositories.withdrawal_repository import WithdrawalRepository
from backend.app.schemas.settlement_schemas import PayoutOrder
from backend.app.services.payout_service import PayoutService
from backend.app.services.settlement.verdicts import (
    NotAsked,
    Payout,
    Refused,
    Settled,
    Silence,
    Unknown,
    Verdict,
)

PATIENCE_SECONDS: Final = 60.0
AWAY = "away"
LOST = "lost"
LOST_REPLY = "lost_reply"
REFUSED = "refused"


class FakeSettlement:
    """Pays as a settlement does: once for each id, and what it decided stays so, in its table.

    `next_faults` are met in turn: away, lost (nothing done), lost_reply (done, and not said),
    refused (for good). After them, everything is paid.
    """

    def __init__(self) -> None:
        self.table: PayoutService | None = None
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
        verdict = await self._decided(payout, "refused_by_bank" if fault == REFUSED else None)
        if isinstance(verdict, Settled):
            self.paid[payout.withdrawal_id] = payout.amount
        return Unknown(Silence.NO_ANSWER) if fault == LOST_REPLY else verdict

    async def close(self) -> None:
        """Hold nothing."""

    async def _decided(self, payout: Payout, refused_because: str | None) -> Verdict:
        assert self.table is not None, "it pays for whoever runs it with `settling`"
        order = PayoutOrder(
            merchant_id=payout.merchant_id,
            account_id=payout.account_id,
            amount=in_cents(payout.amount),
            account=payout.bank_account,
            withdrawal_id=payout.withdrawal_id,
        )
        shown = await self.table.pay(order, refused_because)
        return Settled() if shown.state is SettlementState.SETTLED else Refused(shown.reason or "")


@asynccontextmanager
async def settling(
    database: Database, clock: Clock, settlement: FakeSettlement, *, later: bool = False
) -> AsyncIterator[CreditContainer]:
    """Run credit with a settlement, until the block ends."""
    settlement.table = PayoutService(database, clock)
    credit = CreditContainer(database, clock, settlement, settles_later=later)
    assert credit._desk is not None
    # Who waits too long is a story of its own; a busy machine takes its time.
    credit._desk._caller_wait_seconds_max = PATIENCE_SECONDS
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


async def pay_out(database: Database, clock: Clock, withdrawal_id: int) -> bool:
    """Pay a withdrawal out as the desk does; False if it had come to an end before."""
    async with database.transaction() as session:
        withdrawal = await WithdrawalRepository(session).hold(withdrawal_id)
        if withdrawal.state in ("settled", "failed"):
            return False
        paid = Settlement(
            withdrawal_id=withdrawal.id,
            merchant_id=withdrawal.user_id,
            account_id=withdrawal.account_id,
            amount=withdrawal.amount,
            account="DE89370400440532013000",
            state=SettlementState.SETTLED.value,
            decided_at=clock(),
        )
        await SettlementRepository(session).keep_first(paid)
        return bool(await PayoutRepository(session).settle([withdrawal_id], clock()))
