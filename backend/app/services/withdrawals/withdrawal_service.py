"""Merchants withdrawing, and looking at what they withdrew."""

from backend.app.database import Database
from backend.app.errors import IdempotencyKeyMissing
from backend.app.repositories.withdrawal_repository import WithdrawalRepository
from backend.app.schemas.withdrawal_schemas import (
    WithdrawalPage,
    WithdrawalRequest,
    WithdrawalShown,
)
from backend.app.services.idempotency.keyed import STILL_RUNNING, Answer, fingerprint
from backend.app.services.principal import Principal
from backend.app.services.withdrawals.conclusion import Conclusion
from backend.app.services.withdrawals.decision import WithdrawalAsked
from backend.app.services.withdrawals.settlement import Settlement
from backend.app.services.withdrawals.withdrawal_writer import WithdrawalWriter


class WithdrawalService:
    """The use cases of drawing on one's credit."""

    def __init__(
        self,
        database: Database,
        writer: WithdrawalWriter,
        settlement: Settlement,
        conclusion: Conclusion,
    ) -> None:
        self._database = database
        self._writer = writer
        self._settlement = settlement
        self._conclusion = conclusion

    async def withdraw(
        self, principal: Principal, asked: WithdrawalRequest, key: str | None
    ) -> Answer:
        """Take an amount from one's credit and its pool, or answer what was answered before.

        Raises:
            IdempotencyKeyMissing: without a key nobody could ask again safely.
            IdempotencyKeyReused: the key came with another body before.
            IdempotencyInProgress: the same request is under way.
            WithdrawalQueueFull: too many at once; nothing happened.
            DatabaseUnavailable: nothing happened, or it is not known: the key will tell.
        """
        if key is None:
            raise IdempotencyKeyMissing("Send a header Idempotency-Key, a new one per withdrawal.")
        waiting = WithdrawalAsked(principal, key, fingerprint(asked), asked.amount)
        answer = await self._writer.book(waiting)
        if not answer.is_replayed:
            answer = await self._settlement.concluded(waiting, answer)
        if answer.status != STILL_RUNNING:
            return answer
        return await self._conclusion.of(waiting, answer)

    async def get(self, owner_id: int, withdrawal_id: int) -> WithdrawalShown:
        """Return one of one's own withdrawals.

        Raises:
            WithdrawalNotFound: absent, or another merchant's.
        """
        async with self._database.snapshot() as session:
            found = await WithdrawalRepository(session).get(owner_id, withdrawal_id)
            return WithdrawalShown.model_validate(found)

    async def page(self, owner_id: int, limit: int, cursor: int | None) -> WithdrawalPage:
        """Return one's own withdrawals, the newest first."""
        async with self._database.snapshot() as session:
            found = await WithdrawalRepository(session).page(owner_id, cursor, limit + 1)
        return WithdrawalPage(
            items=[WithdrawalShown.model_validate(each) for each in found[:limit]],
            next_cursor=str(found[limit - 1].id) if len(found) > limit else None,
        )
