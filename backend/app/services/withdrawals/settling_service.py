"""What becomes of a withdrawal: the steps whoever settles may take, each safe to repeat.

    requested ─▶ settling ─▶ settled
                    │  ▲ └─▶ failed: given back by a movement of its own
                    ▼  │
                  unknown ─▶ settled | failed, once the settlement was asked again

What is settled or failed stays so. Who was told nothing marks it unknown and asks again under the
withdrawal's id; nobody guesses.
"""

from dataclasses import dataclass
from decimal import Decimal

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_record import Act, AuditObject, AuditRecord, Caller, Outcome
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.enums import MovementKind, WithdrawalState
from backend.app.errors import WithdrawalDecided
from backend.app.models.withdrawal import Withdrawal
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.ledger_repository import LedgerRepository
from backend.app.repositories.merchant_repository import MerchantRepository
from backend.app.repositories.withdrawal_repository import WithdrawalRepository

_DECIDED = frozenset({WithdrawalState.SETTLED, WithdrawalState.FAILED})


@dataclass(frozen=True, slots=True)
class Payout:
    """What the settlement has to know of a withdrawal, and nothing else."""

    withdrawal_id: int
    merchant_id: int
    account_id: int
    amount: Decimal
    bank_account: SecretStr
    state: WithdrawalState


class SettlingService:
    """The use cases of settling. They trust their caller, which no route may be but an internal."""

    def __init__(self, database: Database, now: Clock) -> None:
        self._database = database
        self._now = now

    async def begin(self, withdrawal_id: int, caller: Caller) -> Payout:
        """Mark a withdrawal as being settled, and return what to pay.

        One that is decided is returned as it stands: who asks sees that there is nothing to do.

        Raises:
            WithdrawalNotFound: there is none of that id.
        """
        async with self._database.transaction() as session:
            withdrawal = await WithdrawalRepository(session).hold(withdrawal_id)
            merchant = (await MerchantRepository(session).get(withdrawal.user_id)).merchant
            if withdrawal.state == WithdrawalState.REQUESTED:
                self._turn(withdrawal, WithdrawalState.SETTLING)
                await self._record(session, Act.WITHDRAWAL_SETTLING, withdrawal, caller)
            return Payout(
                withdrawal.id,
                withdrawal.user_id,
                withdrawal.account_id,
                withdrawal.amount,
                SecretStr(merchant.bank_account),
                WithdrawalState(withdrawal.state),
            )

    async def finish(self, withdrawal_id: int, caller: Caller) -> None:
        """Record that a withdrawal was paid out.

        Raises:
            WithdrawalNotFound: there is none of that id.
            WithdrawalDecided: it was given back.
        """
        async with self._database.transaction() as session:
            withdrawal = await WithdrawalRepository(session).hold(withdrawal_id)
            if _is_already(withdrawal, WithdrawalState.SETTLED):
                return
            self._turn(withdrawal, WithdrawalState.SETTLED)
            await self._record(session, Act.WITHDRAWAL_SETTLED, withdrawal, caller)

    async def give_back(self, withdrawal_id: int, reason: str, caller: Caller) -> None:
        """Give pool and credit back what a withdrawal took, because it was not paid out.

        Raises:
            WithdrawalNotFound: there is none of that id.
            WithdrawalDecided: it was paid out.
        """
        async with self._database.transaction() as session:
            withdrawal = await WithdrawalRepository(session).hold(withdrawal_id)
            if _is_already(withdrawal, WithdrawalState.FAILED):
                return
            ledger = LedgerRepository(session)
            await ledger.hold(withdrawal.pool_id, withdrawal.account_id)
            await ledger.take_back(
                withdrawal.movement_id, MovementKind.GIVEN_BACK, self._now(), withdrawal.id
            )
            self._turn(withdrawal, WithdrawalState.FAILED, reason)
            await self._record(session, Act.WITHDRAWAL_GIVEN_BACK, withdrawal, caller, reason)

    async def mark_unknown(self, withdrawal_id: int, reason: str, caller: Caller) -> None:
        """Record that the settlement did not say what became of a withdrawal.

        One that is decided meanwhile stays as it is: then it is known.

        Raises:
            WithdrawalNotFound: there is none of that id.
        """
        async with self._database.transaction() as session:
            withdrawal = await WithdrawalRepository(session).hold(withdrawal_id)
            if withdrawal.state in _DECIDED | {WithdrawalState.UNKNOWN}:
                return
            self._turn(withdrawal, WithdrawalState.UNKNOWN, reason)
            await self._record(session, Act.WITHDRAWAL_UNKNOWN, withdrawal, caller, reason)

    def _turn(
        self, withdrawal: Withdrawal, state: WithdrawalState, reason: str | None = None
    ) -> None:
        withdrawal.state = state.value
        withdrawal.reason = reason
        withdrawal.changed_at = self._now()

    async def _record(
        self,
        session: AsyncSession,
        act: Act,
        withdrawal: Withdrawal,
        caller: Caller,
        reason: str | None = None,
    ) -> None:
        await session.flush()
        record = AuditRecord(
            act=act,
            outcome=Outcome.DONE,
            caller=caller,
            at=self._now(),
            object=AuditObject("withdrawal", withdrawal.id, withdrawal.user_id),
            reason=reason,
        )
        await AuditRepository(session).append([record])


def _is_already(withdrawal: Withdrawal, state: WithdrawalState) -> bool:
    """Say whether a withdrawal has come to this end.

    Raises:
        WithdrawalDecided: it has come to the other.
    """
    if withdrawal.state in _DECIDED - {state}:
        raise WithdrawalDecided("This withdrawal has come to another end, and stays there.")
    return withdrawal.state == state
