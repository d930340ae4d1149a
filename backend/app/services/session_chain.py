"""Sessions and the chains of refresh tokens that keep them going.

A refresh token works once. Its successor is computed from it under the server's key, so that the
same answer can be given again to a client that lost it, while the database holds nothing but
hashes and nobody follows a chain without the key.

Source: RFC 9700 section 4.14, "Refresh Token Protection".
"""

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.clock import Clock
from backend.app.config import AuthSettings
from backend.app.enums import Role
from backend.app.ids import new_id, new_token
from backend.app.models.refresh_token import RefreshToken
from backend.app.models.user import User
from backend.app.repositories.auth_session_repository import AuthSessionRepository, LiveSession
from backend.app.schemas.auth_schemas import TokenPair
from backend.app.services.keyed_hash import KeyedHash
from backend.app.services.principal import Client
from backend.app.services.token_service import TokenService

SESSION_LIFETIME: Final = timedelta(days=90)
SAME_ANSWER_FOR: Final = timedelta(seconds=10)
SESSIONS_PER_USER_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class CopiedToken:
    """A spent refresh token came back from elsewhere, or too late. Its session has been ended."""

    user_id: int
    session_id: UUID


class SessionChain:
    """Begins sessions and follows their refresh tokens, in the caller's block."""

    def __init__(self, settings: AuthSettings, tokens: TokenService, now: Clock) -> None:
        self._tokens = tokens
        self._now = now
        self._token_lifetime = timedelta(days=settings.refresh_token_lifetime_days)
        self._successors = KeyedHash(settings.jwt_secret, "refresh-successor")
        self._clients = KeyedHash(settings.jwt_secret, "refresh-client")

    async def begin(self, session: AsyncSession, user: User) -> TokenPair:
        """Begin a session of this user; the oldest beyond the bound ends."""
        sessions = AuthSessionRepository(session)
        live = LiveSession(
            session_id=new_id(),
            user_id=user.id,
            username=user.username,
            role=Role(user.role),
            expires_at=self._now() + SESSION_LIFETIME,
        )
        await sessions.begin(live, auth_version=user.auth_version, at=self._now())
        await sessions.keep_newest(user.id, SESSIONS_PER_USER_MAX)
        first = SecretStr(new_token())
        await self._store(sessions, first, live)
        return self._pair(live, first)

    async def follow(
        self, session: AsyncSession, presented: SecretStr, client: Client
    ) -> TokenPair | CopiedToken | None:
        """Exchange a refresh token, or tell that it was copied, or that it counts for nothing."""
        sessions = AuthSessionRepository(session)
        token = await sessions.lock_token(_name(presented))
        if token is None:
            return None
        live = (await sessions.find_live([token.session_id], self._now())).get(token.session_id)
        if live is None:
            return None
        successor = self._successor(presented)
        if token.spent_at is not None:
            if not self._lost_our_answer(token, client):
                await sessions.revoke(live.user_id, live.session_id, self._now())
                return CopiedToken(live.user_id, live.session_id)
        elif token.expires_at <= self._now():
            return None
        else:
            await sessions.spend_token(token.token_hash, by=self._mark(client), at=self._now())
            await self._store(sessions, successor, live)
        return self._pair(live, successor)

    def _lost_our_answer(self, token: RefreshToken, client: Client) -> bool:
        return (
            token.spent_at is not None
            and self._now() - token.spent_at <= SAME_ANSWER_FOR
            and token.spent_by == self._mark(client)
        )

    def _successor(self, token: SecretStr) -> SecretStr:
        digest = self._successors.digest(token.get_secret_value())
        return SecretStr(urlsafe_b64encode(digest).rstrip(b"=").decode())

    def _mark(self, client: Client) -> bytes:
        return self._clients.digest(client.address, client.user_agent)

    async def _store(
        self, sessions: AuthSessionRepository, token: SecretStr, live: LiveSession
    ) -> None:
        await sessions.add_token(
            token_hash=_name(token),
            session_id=live.session_id,
            at=self._now(),
            until=min(self._now() + self._token_lifetime, live.expires_at),
        )

    def _pair(self, live: LiveSession, refresh: SecretStr) -> TokenPair:
        access = self._tokens.issue(live.user_id, live.session_id, live.role)
        return TokenPair(
            access=access.get_secret_value(),
            refresh=refresh.get_secret_value(),
            expires_in=self._tokens.lifetime_seconds,
        )


def _name(token: SecretStr) -> bytes:
    # 256 random bits need no slow hash.
    return sha256(token.get_secret_value().encode()).digest()
