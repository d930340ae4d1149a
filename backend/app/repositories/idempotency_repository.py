"""SQL for idempotency keys. Nothing here commits."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.models.idempotency_key import IdempotencyKey

_HOLD: Final = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:scope, 0))")
# The first answer counts, whoever writes it.
_ANSWER: Final = text(
    "UPDATE idempotency_keys AS kept SET status = given.status, body = given.body"
    " FROM unnest(CAST(:users AS bigint[]), CAST(:routes AS text[]), CAST(:keys AS text[]),"
    "  CAST(:statuses AS smallint[]), CAST(:bodies AS bytea[]))"
    "  AS given (user_id, route, key, status, body)"
    " WHERE kept.user_id = given.user_id AND kept.route = given.route AND kept.key = given.key"
    "  AND kept.status = 0"
    " RETURNING kept.user_id, kept.route, kept.key"
)
# Not of a withdrawal that is still to be paid: whoever asks what became of it would draw again.
_SWEEP: Final = text(
    "DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY("
    " SELECT ctid FROM idempotency_keys AS kept WHERE created_at < :before"
    " AND NOT EXISTS (SELECT FROM withdrawals AS w"
    "  WHERE w.state IN ('requested', 'settling', 'unknown')"
    "  AND w.id = CASE WHEN kept.route = 'withdrawals' AND kept.status < 300"
    "   THEN CAST(CAST(convert_from(kept.body, 'UTF8') AS jsonb) ->> 'id' AS bigint) END)"
    " ORDER BY created_at LIMIT :rows FOR UPDATE OF kept SKIP LOCKED))"
)


class KeyScope(NamedTuple):
    """Where a key counts: one user, one route."""

    user_id: int
    route: str
    key: str


class GivenAnswer(NamedTuple):
    """What whoever asks under a key is told from now on."""

    scope: KeyScope
    status: int
    body: bytes


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

    async def answer(self, given: Sequence[GivenAnswer]) -> set[KeyScope]:
        """Write answers where none is for good yet; return the keys that have these now."""
        if not given:
            return set()
        scopes, statuses, bodies = zip(*given, strict=True)
        users, routes, keys = (list(each) for each in zip(*scopes, strict=True))
        written = await self._session.execute(
            _ANSWER,
            {
                "users": users,
                "routes": routes,
                "keys": keys,
                "statuses": list(statuses),
                "bodies": list(bodies),
            },
        )
        return {KeyScope(*row) for row in written}

    async def delete_before(self, before: datetime, rows_max: int) -> int:
        """Delete the oldest keys of what is over, a bounded number at a time; return how many."""
        deleted = await self._session.execute(_SWEEP, {"before": before, "rows": rows_max})
        return int(deleted.rowcount)  # type: ignore[attr-defined]
