"""Access tokens: short-lived signed statements of who asks, in which session.

They are signed with one algorithm and one key. The header is a constant we compare before
anything is parsed, so a token cannot choose how it is checked.

Source: RFC 8725, "JSON Web Token Best Current Practices"; RFC 9068 for `at+jwt`.
"""

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import jwt
from pydantic import SecretStr

from backend.app.clock import Clock
from backend.app.config import AuthSettings
from backend.app.enums import Role
from backend.app.errors import Unauthenticated
from backend.app.ids import new_id
from backend.app.services.keyed_hash import signing_secret

ISSUER: Final = "strongroom"
AUDIENCE: Final = "strongroom-api"
ALGORITHM: Final = "HS256"
SCOPE: Final = "api"

_TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - a media type
_LEEWAY_SECONDS: Final = 30
_TOKEN_CHARACTERS_MAX: Final = 2048
_READ_TOKENS_MAX: Final = 10_000
_CLAIMS: Final = ("iss", "aud", "sub", "sid", "role", "scope", "iat", "nbf", "exp", "jti")


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a verified token states. Whether its session still lives is the guard's question."""

    user_id: int
    session_id: UUID
    role: Role
    expires_at: float


class TokenService:
    """Issues and reads access tokens."""

    def __init__(self, settings: AuthSettings, now: Clock) -> None:
        self._key = signing_secret(settings.jwt_secret)
        self._lifetime = timedelta(minutes=settings.access_token_lifetime_minutes)
        self._now = now
        key_id = sha256(b"strongroom/jwt-kid/1" + self._key).hexdigest()[:8]
        self._headers = {"kid": key_id, "typ": _TOKEN_TYPE}
        self._header_segment = self._sign({}).partition(".")[0]
        # Keys are hashes of tokens: a cache holds nothing that signs in.
        self._read: dict[bytes, AccessClaims] = {}

    @property
    def lifetime_seconds(self) -> int:
        """Return how long a token is good for."""
        return int(self._lifetime.total_seconds())

    def issue(self, user_id: int, session_id: UUID, role: Role) -> SecretStr:
        """Return a token for one session, good from now on for the configured lifetime."""
        now = self._now()
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(user_id),
            "sid": str(session_id),
            "role": role.value,
            "scope": SCOPE,
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "exp": int((now + self._lifetime).timestamp()),
            "jti": str(new_id()),
        }
        return SecretStr(self._sign(claims))

    def read(self, token: str) -> AccessClaims:
        """Verify a token, or remember that it was verified and has not expired since.

        Raises:
            Unauthenticated: not ours, altered, expired, or for another audience.
        """
        if len(token) > _TOKEN_CHARACTERS_MAX or not token.isascii():
            raise Unauthenticated(_NOT_ACCEPTED)
        name = sha256(token.encode()).digest()
        known = self._read.get(name)
        if known is not None and self._now().timestamp() < known.expires_at:
            return known
        claims = self._verify(token)
        self._read.pop(name, None)
        if len(self._read) >= _READ_TOKENS_MAX:
            # The oldest: a dictionary keeps the order of arrival.
            del self._read[next(iter(self._read))]
        self._read[name] = claims
        return claims

    def _sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers=self._headers)

    def _verify(self, token: str) -> AccessClaims:
        # Only a token of our own making has this very header: no other key id, type or algorithm
        # gets as far as being parsed.
        if token.partition(".")[0] != self._header_segment:
            raise Unauthenticated(_NOT_ACCEPTED)
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                # The times are checked below, against the clock we were handed.
                options={
                    "require": list(_CLAIMS),
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
            return self._checked(claims)
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError):
            raise Unauthenticated(_NOT_ACCEPTED) from None

    def _checked(self, claims: dict[str, Any]) -> AccessClaims:
        now = self._now().timestamp()
        issued_at, not_before, expires_at = (float(claims[name]) for name in ("iat", "nbf", "exp"))
        if claims["scope"] != SCOPE:
            raise Unauthenticated(_NOT_ACCEPTED)
        if max(issued_at, not_before) > now + _LEEWAY_SECONDS:
            raise Unauthenticated(_NOT_ACCEPTED)
        if expires_at + _LEEWAY_SECONDS <= now:
            raise Unauthenticated("The access token has expired. Refresh it.")
        return AccessClaims(
            user_id=int(claims["sub"]),
            session_id=UUID(claims["sid"]),
            role=Role(claims["role"]),
            expires_at=expires_at,
        )


_NOT_ACCEPTED: Final = "The access token is not accepted."
