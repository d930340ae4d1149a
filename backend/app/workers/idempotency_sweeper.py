"""Clears away idempotency keys that nobody asks about any more."""

from datetime import timedelta
from typing import Final

from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.repositories.idempotency_repository import IdempotencyRepository

IDEMPOTENCY_KEYS_KEPT_FOR: Final = timedelta(hours=24)
KEYS_PER_SWEEP_MAX: Final = 5_000
SWEEPS_PER_TICK_MAX: Final = 20


class IdempotencySweeper:
    """Deletes old keys, a bounded number in each of a bounded number of blocks."""

    name = "idempotency-sweeper"
    interval_seconds = 60.0

    def __init__(self, database: Database, now: Clock) -> None:
        self._database = database
        self._now = now

    async def tick(self) -> None:
        """Delete what is older than a day."""
        before = self._now() - IDEMPOTENCY_KEYS_KEPT_FOR
        for _ in range(SWEEPS_PER_TICK_MAX):
            async with self._database.transaction() as session:
                deleted = await IdempotencyRepository(session).delete_before(
                    before, KEYS_PER_SWEEP_MAX
                )
            if deleted < KEYS_PER_SWEEP_MAX:
                return

    async def close(self) -> None:
        """Hold nothing."""
