"""Administrators looking at withdrawals that nobody tries to pay out any more."""

from backend.app.audit_record import Act, AuditObject, AuditRecord, Outcome
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.enums import WithdrawalState
from backend.app.errors import SettlementNotGivenUp
from backend.app.masking import mask_api_key
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.payout_repository import DeadLine, PayoutRepository
from backend.app.schemas.settlement_schemas import DeadSettlement, DeadSettlementPage
from backend.app.services.principal import Principal

_DECIDED = frozenset({WithdrawalState.SETTLED, WithdrawalState.FAILED})


class DeadSettlementService:
    """The use cases of the dead-letter list."""

    def __init__(self, database: Database, now: Clock) -> None:
        self._database = database
        self._now = now

    async def page(self, limit: int, cursor: int | None) -> DeadSettlementPage:
        """Return what waits for a person, the newest first."""
        async with self._database.snapshot() as session:
            found = await PayoutRepository(session).dead_page(cursor, limit + 1)
        return DeadSettlementPage(
            items=[_shown(each) for each in found[:limit]],
            next_cursor=str(found[limit - 1].withdrawal.id) if len(found) > limit else None,
        )

    async def requeue(self, administrator: Principal, withdrawal_id: int) -> DeadSettlement:
        """Have a withdrawal tried again, from now on and as often as a new one.

        Raises:
            WithdrawalNotFound: there is none of that id.
            SettlementNotGivenUp: it is decided, or is being tried anyway.
        """
        async with self._database.transaction() as session:
            held = await PayoutRepository(session).hold(withdrawal_id)
            withdrawal = held.withdrawal
            if withdrawal.state in _DECIDED or withdrawal.next_try_at is not None:
                raise SettlementNotGivenUp("This withdrawal is decided, or is tried anyway.")
            # One, not none: it was perhaps asked for before, so it is inquired about first.
            withdrawal.tries, withdrawal.next_try_at = 1, self._now()
            await session.flush()
            await AuditRepository(session).append([self._record(administrator, held)])
            return _shown(held)

    def _record(self, administrator: Principal, held: DeadLine) -> AuditRecord:
        withdrawal = held.withdrawal
        return AuditRecord(
            act=Act.WITHDRAWAL_REQUEUED,
            outcome=Outcome.DONE,
            caller=administrator.caller,
            at=self._now(),
            object=AuditObject("withdrawal", withdrawal.id, withdrawal.user_id),
        )


def _shown(dead: DeadLine) -> DeadSettlement:
    withdrawal = dead.withdrawal
    return DeadSettlement(
        withdrawal_id=withdrawal.id,
        merchant_id=withdrawal.user_id,
        amount=withdrawal.amount,
        bank_account=mask_api_key(dead.bank_account),
        state=WithdrawalState(withdrawal.state),
        reason=withdrawal.reason,
        tries=withdrawal.tries,
        requested_at=withdrawal.requested_at,
        changed_at=withdrawal.changed_at,
    )
