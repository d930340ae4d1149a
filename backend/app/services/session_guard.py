"""Who may pass: a verified token whose session still counts.

Both answers are remembered for a moment, because they are asked on every request. A change in
this process is felt at once, one in another process when its notice arrives, and without any
notice after `STALE_SECONDS_MAX`.
"""

import time
from collections.abc import Callable
from typing import Final
from uuid import UUID

from cachetools import TTLCache

from backend.app.audit_record import Act, AuditRecord, Outcome
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.errors import Forbidden, Unauthenticated
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.auth_session_repository import AuthSessionRepository, LiveSession
from backend.app.services.principal import Principal
from backend.app.services.token_service import TokenService

STALE_SECONDS_MAX: Final = 5.0
_SESSIONS_MAX: Final = 10_000
_SCHEME: Final = "bearer"


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
        self._live: TTLCache[UUID, LiveSession] = TTLCache(
            _SESSIONS_MAX, STALE_SECONDS_MAX, timer=monotonic
        )
        self._changes = 0

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
        live = self._live.get(claims.session_id) or await self._look_up(claims.session_id)
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
        self._changes += 1
        self._live.pop(session_id, None)

    def forget_user(self, user_id: int) -> None:
        """Look every session of this user up again before it passes next."""
        self._changes += 1
        for session_id in [key for key, known in self._live.items() if known.user_id == user_id]:
            self._live.pop(session_id, None)

    def forget_everything(self) -> None:
        """Look every session up again: notices may have been missed."""
        self._changes += 1
        self._live.clear()

    async def _look_up(self, session_id: UUID) -> LiveSession | None:
        changes_seen = self._changes
        async with self._database.snapshot() as session:
            live = await AuthSessionRepository(session).find_live(session_id, self._now())
        # What we read may be older than a change that was announced while we were reading.
        if live is not None and self._changes == changes_seen:
            self._live[session_id] = live
        return live
