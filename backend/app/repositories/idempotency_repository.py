"""SQL for idempotency keys. Nothing here commits."""

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.models.idempotency_key import IdempotencyKey

_HOLD: Final = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:scope, 0))")
_SWEEP: Final = text(
    "DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY("
    " SELECT ctid FROM idempotency_keys WHERE created_at < :before"
    " ORDER BY created_at LIMIT :rows FOR UPDATE SKIP LOCKED))"
)


class KeyScope(NamedTuple):
    """Where a key counts: one user, one route."""

    user_id: int
    route: str
    key: str


class IdempotencyRepository:
    """Keys, and what was answered under them."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def hold(self, scope: KeyScope) -> bool:
        """Keep everybody else from this key until the block ends; False if somebody keeps us."""
        # The route and the number have no space, so no two scopes are one text.
        name = f"{scope.user_id} {scope.route} {scope.key}"
        return bool(await self._session.scalar(_HOLD, {"scope": name}))

    async def find(self, scope: KeyScope) -> IdempotencyKey | None:
        """Return what was answered under a key, if it is known."""
        return await self._session.get(IdempotencyKey, tuple(scope))

    async def add(self, key: IdempotencyKey) -> None:
        """Write what is answered under a key, in the transaction of what it stands for."""
        self._session.add(key)
        await self._session.flush()

    async def delete_before(self, before: datetime, rows_max: int) -> int:
        """Delete the oldest keys, a bounded number at a time; return how many."""
        deleted = await self._session.execute(_SWEEP, {"before": before, "rows": rows_max})
        return int(deleted.rowcount)  # type: ignore[attr-defined]
