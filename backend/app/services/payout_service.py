"""The settlement's own side: each withdrawal is told to the bank once, and the answer kept."""

from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.enums import SettlementState
from backend.app.errors import SettlementContradicted
from backend.app.masking import mask_api_key
from backend.app.models.settlement import Settlement
from backend.app.repositories.settlement_repository import SettlementRepository
from backend.app.schemas.settlement_schemas import PayoutOrder, SettlementShown


class PayoutService:
    """The use cases of the settlement. Its rows are all it knows."""

    def __init__(self, database: Database, now: Clock) -> None:
        self._database = database
        self._now = now

    async def pay(self, order: PayoutOrder, refused_because: str | None = None) -> SettlementShown:
        """Pay a withdrawal out, or say again what became of it.

        `refused_because` is the bank's word where the bank is rehearsed with.

        Raises:
            SettlementContradicted: this id came with another order before.
        """
        wanted = Settlement(
            withdrawal_id=order.withdrawal_id,
            merchant_id=order.merchant_id,
            account_id=order.account_id,
            amount=order.amount,
            account=order.account.get_secret_value(),
            state=(SettlementState.REFUSED if refused_because else SettlementState.SETTLED).value,
            reason=refused_because,
            decided_at=self._now(),
        )
        async with self._database.transaction() as session:
            kept = await SettlementRepository(session).keep_first(wanted)
            if _order_of(kept) != _order_of(wanted):
                raise SettlementContradicted("This withdrawal was paid out by another order.")
            return _shown(kept)

    async def get(self, withdrawal_id: int) -> SettlementShown:
        """Return what became of a withdrawal.

        Raises:
            SettlementNotFound: it was never asked for.
        """
        async with self._database.snapshot() as session:
            return _shown(await SettlementRepository(session).get(withdrawal_id))


def _order_of(settlement: Settlement) -> tuple[object, ...]:
    return (
        settlement.merchant_id,
        settlement.account_id,
        settlement.amount,
        settlement.account,
    )


def _shown(settlement: Settlement) -> SettlementShown:
    return SettlementShown(
        withdrawal_id=settlement.withdrawal_id,
        merchant_id=settlement.merchant_id,
        account_id=settlement.account_id,
        amount=settlement.amount,
        account=mask_api_key(settlement.account),
        state=SettlementState(settlement.state),
        reason=settlement.reason,
        decided_at=settlement.decided_at,
    )
