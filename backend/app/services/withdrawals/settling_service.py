"""The way back: what a withdrawal took is given back, because it was not paid out.

    requested ─▶ settling ─▶ settled
                    │  ▲ └─▶ failed: given back by a movement of its own
                    ▼  │
                  unknown ─▶ settled | failed, once the settlement was asked again

What is settled or failed stays so.
"""

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_record import Act, AuditObject, AuditRecord, Caller, Outcome
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.enums import MovementKind, WithdrawalState
from backend.app.errors import WithdrawalDecided
from backend.app.models.withdrawal import Withdrawal
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.ledger_repository import LedgerRepository
from backend.app.repositories.notification_repository import NotificationRepository
from backend.app.repositories.withdrawal_repository import WithdrawalRepository
from backend.app.services.withdrawals.news import failed_news


class SettlingService:
    """Gives back. It trusts its caller, which no route may be but an internal one."""

    def __init__(self, database: Database, now: Clock) -> None:
        self._database = database
        self._now = now

    async def give_back(self, withdrawal_id: int, reason: str, caller: Caller) -> None:
        """Give pool and credit back what a withdrawal took, once however often it is said.

        Raises:
            WithdrawalNotFound: there is none of that id.
            WithdrawalDecided: it was paid out.
        """
        async with self._database.transaction() as session:
            withdrawal = await WithdrawalRepository(session).hold(withdrawal_id)
            if _is_given_back(withdrawal):
                return
            withdrawal.state, withdrawal.reason = WithdrawalState.FAILED.value, reason
            withdrawal.changed_at = self._now()
            # Before the pool is held: nobody who withdraws waits for a message to be written.
            await self._tell(session, withdrawal, reason)
            ledger = LedgerRepository(session)
            await ledger.hold(withdrawal.pool_id, withdrawal.account_id)
            await ledger.take_back(
                withdrawal.movement_id, MovementKind.GIVEN_BACK, self._now(), withdrawal.id
            )
            await self._record(session, withdrawal, reason, caller)

    async def _tell(self, session: AsyncSession, withdrawal: Withdrawal, reason: str) -> None:
        news = failed_news(
            withdrawal.user_id, withdrawal.id, withdrawal.amount, reason, self._now()
        )
        await NotificationRepository(session).add(news)

    async def _record(
        self, session: AsyncSession, withdrawal: Withdrawal, reason: str, caller: Caller
    ) -> None:
        record = AuditRecord(
            act=Act.WITHDRAWAL_GIVEN_BACK,
            outcome=Outcome.DONE,
            caller=caller,
            at=self._now(),
            object=AuditObject("withdrawal", withdrawal.id, withdrawal.user_id),
            reason=reason,
        )
        await AuditRepository(session).append([record])


def _is_given_back(withdrawal: Withdrawal) -> bool:
    """Say whether a withdrawal was given back before.

    Raises:
        WithdrawalDecided: it was paid out.
    """
    if withdrawal.state == WithdrawalState.SETTLED:
        raise WithdrawalDecided("This withdrawal was paid out, and stays so.")
    return withdrawal.state == WithdrawalState.FAILED
