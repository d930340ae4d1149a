"""Callers who wait for their payout: each is told once, and what he is told is kept.

What is kept under his key changes in the transaction of the payout's end, before he hears of it.
Who is told nothing finds out from his key and his withdrawal how they stand.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from backend.app.schemas.withdrawal_schemas import WithdrawalShown
from backend.app.services.idempotency.keyed import Answer
from backend.app.services.withdrawals.decision import WithdrawalAsked


@dataclass(frozen=True, slots=True)
class Waiter:
    """A caller, his withdrawal as it was booked, and where he listens."""

    asked: WithdrawalAsked
    booked: WithdrawalShown
    told: "asyncio.Future[Answer | None]" = field(default_factory=asyncio.Future)

    def tell(self, answer: Answer | None) -> None:
        """Tell him, unless he is gone; None says that nothing is known here."""
        if not self.told.done():
            self.told.set_result(answer)


class WaitingRoom:
    """The callers of one process, by the ids of their withdrawals."""

    def __init__(self) -> None:
        self._expected: set[int] = set()
        self._waiters: dict[int, Waiter] = {}

    def expect(self, withdrawal_ids: Iterable[int]) -> None:
        """Take in who waits for these from now on."""
        self._expected.update(withdrawal_ids)

    def is_expected(self, withdrawal_id: int) -> bool:
        """Say whether this one is being paid out here, with a caller who may wait for it."""
        return withdrawal_id in self._expected

    def enter(self, waiter: Waiter) -> None:
        """Wait for what is expected."""
        self._waiters[waiter.booked.id] = waiter

    def leave(self, withdrawal_id: int) -> bool:
        """Wait no longer; False for somebody who is being told this moment, or was."""
        return self._waiters.pop(withdrawal_id, None) is not None

    def take(self, withdrawal_ids: Iterable[int]) -> list[Waiter]:
        """Return those who wait for these, to be told by whoever takes them."""
        found = (self._waiters.pop(each, None) for each in withdrawal_ids)
        return [waiter for waiter in found if waiter is not None]

    def dismiss(self, withdrawal_ids: Iterable[int]) -> None:
        """Expect these no more, and send those who still wait away."""
        ids = list(withdrawal_ids)
        self._expected.difference_update(ids)
        for waiter in self.take(ids):
            waiter.tell(None)
