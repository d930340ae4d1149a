"""SQL for sessions and their refresh tokens. Nothing here commits."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Uuid, and_, any_, delete, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.enums import Role
from backend.app.models.auth_session import AuthSession
from backend.app.models.refresh_token import RefreshToken
from backend.app.models.user import User

# Heard by every process's session listener when the block commits.
SESSIONS_CHANNEL: Final = "strongroom_sessions"


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session that counts, and whose it is."""

    session_id: UUID
    user_id: int
    username: str
    role: Role
    expires_at: datetime


class AuthSessionRepository:
    """Logins, and the chains of refresh tokens that descend from them."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find_live(
        self, session_ids: Collection[UUID], at: datetime
    ) -> dict[UUID, LiveSession]:
        """Return those of some sessions that count: not ended nor revoked, owner unchanged."""
        found = await self._session.execute(
            select(
                AuthSession.id,
                User.id,
                User.username,
                User.role,
                AuthSession.expires_at,
            )
            .join(User, User.id == AuthSession.user_id)
            .where(
                AuthSession.id == any_(literal(list(session_ids), ARRAY(Uuid))),
                _counts(at),
            )
        )
        return {
            session_id: LiveSession(session_id, user_id, username, Role(role), expires_at)
            for session_id, user_id, username, role, expires_at in found
        }

    async def live_among(self, session_ids: Collection[UUID], at: datetime) -> set[UUID]:
        """Return those of some sessions that still count."""
        found = await self._session.scalars(
            select(AuthSession.id)
            .join(User, User.id == AuthSession.user_id)
            .where(
                AuthSession.id == any_(literal(list(session_ids), ARRAY(Uuid))),
                _counts(at),
            )
        )
        return set(found)

    async def begin(self, live: LiveSession, *, auth_version: int, at: datetime) -> None:
        """Write a new session."""
        self._session.add(
            AuthSession(
                id=live.session_id,
                user_id=live.user_id,
                auth_version=auth_version,
                created_at=at,
                expires_at=live.expires_at,
            )
        )
        await self._session.flush()

    async def revoke(self, owner_id: int, session_id: UUID, at: datetime) -> None:
        """End one session of this owner, and tell every process."""
        await self._session.execute(
            update(AuthSession)
            .where(
                AuthSession.user_id == owner_id,
                AuthSession.id == session_id,
                AuthSession.revoked_at.is_(None),
            )
            .values(revoked_at=at)
        )
        await self._notify(f"session:{session_id}")

    async def keep(self, owner_id: int, session_id: UUID, auth_version: int) -> None:
        """Carry one session of this owner over a change that ends all the others."""
        await self._session.execute(
            update(AuthSession)
            .where(AuthSession.user_id == owner_id, AuthSession.id == session_id)
            .values(auth_version=auth_version)
        )

    async def announce_user_changed(self, user_id: int) -> None:
        """Tell every process that this user's sessions have to be looked up again."""
        await self._notify(f"user:{user_id}")

    async def keep_newest(self, owner_id: int, sessions_max: int) -> None:
        """Delete this owner's oldest sessions beyond the bound, and tell every process."""
        newest = (
            select(AuthSession.id)
            .where(AuthSession.user_id == owner_id)
            .order_by(AuthSession.created_at.desc())
            .limit(sessions_max)
        )
        gone = await self._session.execute(
            delete(AuthSession)
            .where(AuthSession.user_id == owner_id, AuthSession.id.not_in(newest))
            .returning(AuthSession.id)
        )
        if gone.all():
            await self.announce_user_changed(owner_id)

    async def delete_ended(self, before: datetime, rows_max: int) -> int:
        """Delete sessions that ended before this moment, a bounded number at a time."""
        ended = select(AuthSession.id).where(AuthSession.expires_at < before).limit(rows_max)
        gone = await self._session.execute(
            delete(AuthSession).where(AuthSession.id.in_(ended)).returning(AuthSession.id)
        )
        return len(gone.all())

    async def add_token(
        self, *, token_hash: bytes, session_id: UUID, at: datetime, until: datetime
    ) -> None:
        """Write the newest link of a session's chain."""
        self._session.add(
            RefreshToken(
                token_hash=token_hash, session_id=session_id, issued_at=at, expires_at=until
            )
        )
        await self._session.flush()

    async def lock_token(self, token_hash: bytes) -> RefreshToken | None:
        """Return a refresh token, its whole session held against everybody else."""
        # The session first, as deleting a user does: the other order could wait in a circle.
        session_id = (
            select(RefreshToken.session_id)
            .where(RefreshToken.token_hash == token_hash)
            .scalar_subquery()
        )
        await self._session.execute(
            select(AuthSession.id).where(AuthSession.id == session_id).with_for_update()
        )
        found = await self._session.execute(
            select(RefreshToken).where(RefreshToken.token_hash == token_hash)
        )
        return found.scalar_one_or_none()

    async def spend_token(self, token_hash: bytes, *, by: bytes, at: datetime) -> None:
        """Mark a refresh token as exchanged."""
        await self._session.execute(
            update(RefreshToken)
            .where(RefreshToken.token_hash == token_hash)
            .values(spent_at=at, spent_by=by)
        )

    async def _notify(self, message: str) -> None:
        await self._session.execute(select(func.pg_notify(SESSIONS_CHANNEL, message)))


def _counts(at: datetime) -> ColumnElement[bool]:
    return and_(
        AuthSession.revoked_at.is_(None),
        AuthSession.expires_at > at,
        AuthSession.auth_version == User.auth_version,
        User.is_active,
    )
