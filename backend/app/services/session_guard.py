"""Who may pass: a verified token whose session still counts.

Both answers are remembered for a moment, because they are asked on every request. A change in
this process is felt at once, one in another process when its notice arrives, and without any
notice after `STALE_SECONDS_MAX`.
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from backend.app.audit_record import Act, AuditRecord, Outcome
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.errors import Forbidden, Unauthenticated
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.auth_session_repository import AuthSessionRepository, LiveSession
from backend.app.services.gathered_reads import GatheredReads
from backend.app.services.principal import Principal
from backend.app.services.token_service import TokenService

STALE_SECONDS_MAX: Final = 5.0
_SESSIONS_MAX: Final = 10_000
_SCHEME: Final = "bearer"


@dataclass(frozen=True, slots=True)
class _Known:
    """A session as it was read, and until when we need not ask again."""

    session: LiveSession
    until: float


class SessionGuard:
    """Turns an Authorization header into a principal, or refuses."""

    def __init__(
        self,
        database: Database,
        tokens: TokenService,
        now: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._now = now
        self._monotonic = monotonic
        # Oldest first, by the session's number: a plain dictionary costs a request the least.
        self._live: dict[int, _Known] = {}
        self._reads = GatheredReads(self._read, self._remember)

    async def admit(
        self, authorization: str | None, *, request_id: str | None, address: str | None
    ) -> Principal:
        """Return who is asking.

        Raises:
            Unauthenticated: no token, or one that is not accepted, or its session has ended.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != _SCHEME or not token:
            raise Unauthenticated("Send an access token: `Authorization: Bearer ...`.")
        claims = self._tokens.read(token)
        known = self._live.get(claims.session_id.int)
        if known is not None and known.until > self._monotonic():
            live: LiveSession | None = known.session
        else:
            live = await self._reads.get(claims.session_id)
        if live is None or live.user_id != claims.user_id or live.expires_at <= self._now():
            raise Unauthenticated("This session has ended. Sign in again.")
        # The role is the stored one: a token may be older than a change of it.
        return Principal(
            live.user_id, live.username, live.role, live.session_id, request_id, address
        )

    async def deny(self, principal: Principal, purpose: str) -> Forbidden:
        """Record that somebody reached for what the role does not allow; return the refusal."""
        async with self._database.transaction() as session:
            await AuditRepository(session).append(
                [
                    AuditRecord(
                        act=Act.ACCESS_DENIED,
                        outcome=Outcome.DENIED,
                        caller=principal.caller,
                        at=self._now(),
                        purpose=purpose,
                    )
                ]
            )
        return Forbidden("Your role does not allow this.")

    def forget_session(self, session_id: UUID) -> None:
        """Look this session up again before it passes next."""
        self._live.pop(session_id.int, None)
        self._reads.changed(session_id)

    def forget_user(self, user_id: int) -> None:
        """Look every session of this user up again before it passes next."""
        # Whose the sessions are that are being looked up, nobody knows yet.
        self._reads.everything_changed()
        self._live = {
            key: known for key, known in self._live.items() if known.session.user_id != user_id
        }

    def forget_everything(self) -> None:
        """Look every session up again: notices may have been missed."""
        self._reads.everything_changed()
        self._live.clear()

    async def _read(self, session_ids: Collection[UUID]) -> Mapping[UUID, LiveSession]:
        async with self._database.snapshot() as session:
            return await AuthSessionRepository(session).find_live(session_ids, self._now())

    def _remember(self, session_id: UUID, live: LiveSession) -> None:
        self._live.pop(session_id.int, None)
        if len(self._live) >= _SESSIONS_MAX:
            del self._live[next(iter(self._live))]
        until = self._monotonic() + STALE_SECONDS_MAX
        self._live[session_id.int] = _Known(live, until)
