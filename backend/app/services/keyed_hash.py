"""Hashes that nobody makes or checks without the server's key."""

import hmac
from hashlib import sha256
from typing import Final

from pydantic import SecretStr

from backend.app.errors import ConfigurationError

SECRET_BYTES_MIN: Final = 32

_BAD_SECRET: Final = (
    f"JWT_SECRET is missing or shorter than {SECRET_BYTES_MIN} bytes. Expected: a random text of "
    f"at least {SECRET_BYTES_MIN} characters. Make one with: "
    'python -c "import secrets; print(secrets.token_urlsafe(48))"'
)


def signing_secret(secret: SecretStr | None) -> bytes:
    """Return the bytes of `JWT_SECRET`.

    Raises:
        ConfigurationError: missing, or too short to resist guessing.
    """
    raw = secret.get_secret_value().encode() if secret else b""
    if len(raw) < SECRET_BYTES_MIN:
        raise ConfigurationError(_BAD_SECRET)
    return raw


class KeyedHash:
    """HMAC-SHA256 under a key of its own: one purpose's hashes say nothing about another's."""

    def __init__(self, secret: SecretStr | None, purpose: str) -> None:
        self._key = hmac.digest(signing_secret(secret), f"strongroom/{purpose}/1".encode(), sha256)

    def digest(self, *parts: str | bytes) -> bytes:
        """Return 32 bytes that stand for these parts, in this order and with these borders."""
        message = b"".join(
            len(raw).to_bytes(4, "big") + raw
            for raw in (part.encode() if isinstance(part, str) else part for part in parts)
        )
        return hmac.digest(self._key, message, sha256)
