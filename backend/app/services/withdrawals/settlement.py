"""The port to whoever pays out: what it is told of, and when.

A withdrawal in the state `requested` is a row that waits for it, so nothing depends on being told:
who settles may also look. What became of a withdrawal comes back through `SettlingService`.
"""

from collections.abc import Sequence
from typing import Protocol

import asyncpg


class Settlement(Protocol):
    """Whoever pays withdrawals out."""

    async def enqueue(self, connection: asyncpg.Connection, withdrawal_ids: Sequence[int]) -> None:
        """Queue withdrawals in the transaction that books them, without the network.

        What it raises undoes the whole batch.
        """
        ...

    def booked(self, withdrawal_ids: Sequence[int]) -> None:
        """Take notice of withdrawals that are committed. Returns at once and raises nothing."""
        ...


class NoSettlement:
    """Nobody pays out yet: withdrawals stay `requested`, on the books and in the queue."""

    async def enqueue(self, connection: asyncpg.Connection, withdrawal_ids: Sequence[int]) -> None:
        """Leave them where they are: the rows are the queue."""

    def booked(self, withdrawal_ids: Sequence[int]) -> None:
        """Wake nobody."""
