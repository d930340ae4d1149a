"""Idempotency for use cases: the key is written in the transaction of what it stands for.

Whatever a use case answers for good, also a refusal, is answered again to the same key. What was
refused before it was decided (bad input, no right, a limit, an outage) leaves no trace, so that a
retry is tried. A crash before the commit leaves nothing, one after it leaves the answer.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.errors import StrongroomError
from backend.app.models.idempotency_key import IdempotencyKey
from backend.app.repositories.idempotency_repository import IdempotencyRepository, KeyScope
from backend.app.services.idempotency.keyed import (
    Answer,
    Keyed,
    in_progress,
    is_decided,
    refuse_other,
)

Act = Callable[[AsyncSession], Awaitable[BaseModel]]


class Idempotency:
    """Runs what may be asked twice so that it counts once."""

    def __init__(self, database: Database, now: Clock) -> None:
        self._database = database
        self._now = now

    async def once(self, asked: Keyed, act: Act, status: HTTPStatus = HTTPStatus.OK) -> Answer:
        """Return what `act` answers, or what it answered before to the same key.

        Raises:
            IdempotencyKeyReused: the key came with another body before.
            IdempotencyInProgress: the same request is under way.
        """
        async with self._database.transaction() as session:
            if asked.scope is None:
                return Answer.of(await act(session), status)
            return await self._once(session, asked, asked.scope, act, status)

    async def _once(
        self, session: AsyncSession, asked: Keyed, scope: KeyScope, act: Act, status: HTTPStatus
    ) -> Answer:
        keys = IdempotencyRepository(session)
        if not await keys.hold(scope):
            raise in_progress()
        kept = await keys.find(scope)
        if kept is not None:
            refuse_other(kept.fingerprint, asked.fingerprint)
            return Answer(kept.status, kept.body, is_replayed=True)
        answer = await self._answer(session, asked, act, status)
        await keys.add(
            IdempotencyKey(
                **scope._asdict(),
                fingerprint=asked.fingerprint,
                status=answer.status,
                body=answer.body,
                created_at=self._now(),
            )
        )
        return answer

    async def _answer(
        self, session: AsyncSession, asked: Keyed, act: Act, status: HTTPStatus
    ) -> Answer:
        try:
            # What a refused act wrote before it was refused goes back; the key stays.
            async with session.begin_nested():
                return Answer.of(await act(session), status)
        except StrongroomError as refusal:
            if not is_decided(refusal):
                raise
            return Answer.refusing(refusal, asked.principal.request_id, self._now)
