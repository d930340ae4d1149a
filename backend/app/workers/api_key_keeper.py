"""Writes down which platform keys were used, and clears away nonces nobody can use again."""

from datetime import timedelta
from typing import Final

from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.repositories.api_key_repository import ApiKeyRepository
from backend.app.services.api_key_guard import ApiKeyGuard

NONCES_KEPT_FOR: Final = timedelta(minutes=5)
NONCES_PER_BLOCK_MAX: Final = 10_000
# Two thousand signed requests a second, for ever.
BLOCKS_PER_TICK_MAX: Final = 12


class ApiKeyKeeper:
    """Keeps the tables of platform keys, once a minute."""

    name = "api-key-keeper"
    interval_seconds = 60.0

    def __init__(self, database: Database, guard: ApiKeyGuard, now: Clock) -> None:
        self._database = database
        self._guard = guard
        self._now = now

    async def tick(self) -> None:
        """Stamp the keys used since the last tick, then delete what is too old to be replayed."""
        now = self._now()
        if used := self._guard.take_used():
            async with self._database.transaction() as session:
                await ApiKeyRepository(session).stamp_used(used, now)
        for _ in range(BLOCKS_PER_TICK_MAX):
            async with self._database.transaction() as session:
                gone = await ApiKeyRepository(session).delete_nonces(
                    now - NONCES_KEPT_FOR, NONCES_PER_BLOCK_MAX
                )
            if gone < NONCES_PER_BLOCK_MAX:
                return

    async def close(self) -> None:
        """Hold nothing."""
