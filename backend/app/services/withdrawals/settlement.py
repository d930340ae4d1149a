"""The port to whoever pays out: what it is told of, and when.

A withdrawal in the state `requested` is a row that waits for it, so nothing depends on being told:
who settles may also look. What is not paid out is given back through `SettlingService`.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Protocol

import asyncpg

from backend.app.services.idempotency.keyed import Answer
from backend.app.services.withdrawals.decision import WithdrawalAsked


class Settlement(Protocol):
    """Whoever pays withdrawals out.

    `booked_status` is what a booking is answered with: 202 where it is paid out later, and
    `STILL_RUNNING` where its caller waits for the end.
    """

    booked_status: int

    async def enqueue(self, connection: asyncpg.Connection, withdrawal_ids: Sequence[int]) -> None:
        """Queue withdrawals in the transaction that books them, without the network.

        What it raises undoes the whole batch.
        """
        ...

    def booked(self, withdrawal_ids: Sequence[int]) -> None:
        """Take notice of withdrawals that are committed. Returns at once and raises nothing."""
        ...

    async def concluded(self, asked: WithdrawalAsked, answer: Answer) -> Answer:
        """Return what a caller is told of his withdrawal, having waited for its end or not.

        What comes back still running was not waited for long enough.
        """
        ...


class NoSettlement:
    """Nobody pays out yet: withdrawals stay `requested`, on the books and in the queue."""

    booked_status: int = HTTPStatus.CREATED

    async def enqueue(self, connection: asyncpg.Connection, withdrawal_ids: Sequence[int]) -> None:
        """Leave them where they are: the rows are the queue."""

    def booked(self, withdrawal_ids: Sequence[int]) -> None:
        """Wake nobody."""

    async def concluded(self, asked: WithdrawalAsked, answer: Answer) -> Answer:
        """Return what was answered when it was booked."""
        return answer
