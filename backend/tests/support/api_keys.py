"""Platform keys for tests, and requests signed with them by a client that knows only the page."""

import hashlib
import hmac
from typing import Any

from backend.app.container import Container
from backend.app.enums import KeyScope, Role
from backend.app.schemas.api_key_schemas import ApiKeyCreate, ApiKeyMade
from backend.app.services.principal import Principal
from backend.tests.support.people import Person


async def api_key(
    services: Container, owner: Person, *scopes: KeyScope, **members: Any
) -> ApiKeyMade:
    """Make a key of somebody, beneath the routes; it may read if nothing else is said."""
    asked = ApiKeyCreate(name="bot", scopes=frozenset(scopes or (KeyScope.READ,)), **members)
    principal = Principal(owner.user_id, owner.username, Role.USER, owner.session_id)
    return await services.api_keys.create(principal, asked)


def key_headers(key: ApiKeyMade) -> dict[str, str]:
    """Return the header that carries a key in the clear."""
    return {"X-SR-Key": key.api_key}


def message(timestamp: str, nonce: str, method: str, target: str = "", body: bytes = b"") -> bytes:
    """Return what a request is signed over."""
    parts = (timestamp, nonce, method, target, hashlib.sha256(body).hexdigest())
    return "\n".join(parts).encode()


def signed_headers(key: ApiKeyMade, timestamp: str, nonce: str, signature: str) -> dict[str, str]:
    """Return the headers of a signed request."""
    return {
        **key_headers(key),
        "X-SR-Timestamp": timestamp,
        "X-SR-Nonce": nonce,
        "X-SR-Signature": signature,
    }


def hmac_hex(key: ApiKeyMade, text: bytes) -> str:
    """Return a text's HMAC under the key's signing secret."""
    assert key.signing_secret is not None
    return hmac.new(key.signing_secret.encode(), text, hashlib.sha256).hexdigest()
