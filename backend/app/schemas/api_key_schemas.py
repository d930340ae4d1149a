"""Platform keys as they are asked for, and as they may be shown: whole only once."""

import base64
import binascii
from datetime import datetime
from ipaddress import ip_network
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from backend.app.enums import KeyScope, KeySigning
from backend.app.schemas.fields import Label, Request

LIFETIME_DAYS_MAX: Final = 366
LIFETIME_DAYS_DEFAULT: Final = 90
NETWORKS_MAX: Final = 20
_PUBLIC_KEY_BYTES: Final = 32


def _network(value: str) -> str:
    try:
        return str(ip_network(value))
    except ValueError:
        raise PydanticCustomError(
            "network", "An address or a network, such as 192.0.2.7 or 2001:db8::/48"
        ) from None


def _public_key(value: str) -> str:
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _PUBLIC_KEY_BYTES:
        raise PydanticCustomError("public_key", "The 32 raw bytes of an Ed25519 key, in base64")
    return value


Network = Annotated[str, Field(max_length=43), AfterValidator(_network)]
PublicKey = Annotated[str, Field(max_length=44), AfterValidator(_public_key)]


class ApiKeyCreate(Request):
    """A key to make. `expires_in_days: null` makes one that never expires."""

    name: Label
    scopes: Annotated[frozenset[KeyScope], Field(min_length=1)]
    networks: Annotated[
        tuple[Network, ...],
        Field(max_length=NETWORKS_MAX, description="Where it may be used from; none: anywhere"),
    ] = ()
    expires_in_days: Annotated[int, Field(ge=1, le=LIFETIME_DAYS_MAX)] | None = (
        LIFETIME_DAYS_DEFAULT
    )
    signing: KeySigning = KeySigning.PLAIN
    public_key: PublicKey | None = Field(
        default=None, description="For `ed25519`: your public key, 32 bytes in base64"
    )

    @model_validator(mode="after")
    def _key_where_due(self) -> Self:
        if (self.signing is KeySigning.ED25519) != (self.public_key is not None):
            raise PydanticCustomError("public_key", "A public_key goes with signing ed25519 only")
        return self

    @property
    def public_key_bytes(self) -> bytes | None:
        """Return the public key as it is stored."""
        return None if self.public_key is None else base64.b64decode(self.public_key)


class ApiKeyShown(BaseModel):
    """A key as its owner may see it, at any time."""

    key_id: str
    name: str
    prefix: str = Field(description="How the key begins, to recognise it by")
    scopes: list[KeyScope]
    networks: list[str]
    signing: KeySigning
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To a minute or two")
    revoked_at: datetime | None


class ApiKeyMade(ApiKeyShown):
    """A new key. The only answer with its secrets: nobody can show them again."""

    api_key: str = Field(repr=False)
    signing_secret: str | None = Field(repr=False, description="For `hmac`: signs the requests")
