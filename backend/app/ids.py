"""Names that have to be unlike any other."""

import secrets
from uuid import UUID, uuid4


def new_request_id() -> str:
    """Return a name for one request: 32 hex digits, quoted in logs and refusals."""
    return secrets.token_hex(16)


def new_id() -> UUID:
    """Return a random UUID (version 4)."""
    return uuid4()


def new_token(entropy_bytes: int = 32) -> str:
    """Return an unguessable URL-safe token with that much entropy."""
    return secrets.token_urlsafe(entropy_bytes)
