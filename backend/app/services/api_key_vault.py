"""What is kept of a platform key: a keyed hash, and the secret it signs with, sealed."""

import hmac
from dataclasses import dataclass, field
from typing import Final, Self

from pydantic import SecretStr

from backend.app.models.api_key import ApiKey
from backend.app.models.dek import Dek
from backend.app.secret_value import SecretValue
from backend.app.services.api_key_format import KeyParts
from backend.app.services.crypto_service import CryptoService, WrappedDek
from backend.app.services.envelope import EnvelopeError, FieldContext
from backend.app.services.keyed_hash import KeyedHash

_TABLE: Final = ApiKey.__tablename__
_COLUMN: Final = "sealed_signing_secret"
# A signing secret never changes: another one is another key.
_REV: Final = 1


@dataclass(frozen=True, slots=True)
class SealedSigningSecret:
    """A signing secret, sealed for the row of one key, and the data key it is under."""

    owner_id: int
    key_id: str
    sealed: str = field(repr=False)
    dek: WrappedDek

    @classmethod
    def of(cls, key: ApiKey, dek: Dek | None) -> Self | None:
        """Return what the rows hold, or None if they hold none, or none that opens any more."""
        if key.sealed_signing_secret is None or dek is None or dek.wrapped is None:
            return None
        return cls(key.user_id, key.key_id, key.sealed_signing_secret, WrappedDek.of(dek))

    @property
    def context(self) -> FieldContext:
        """What it is bound to."""
        return _context(self.owner_id, self.key_id, self.dek)


class ApiKeyVault:
    """Hashes keys, and seals and uses their signing secrets.

    Raises:
        ConfigurationError: `JWT_SECRET` is missing or too short.
    """

    def __init__(self, crypto: CryptoService, jwt_secret: SecretStr | None) -> None:
        self._crypto = crypto
        self._hash = KeyedHash(jwt_secret, "api-key")

    def hash(self, parts: KeyParts, owner_id: int) -> bytes:
        """Return what is stored of a key: good for this key of this owner only."""
        return self._hash.digest(parts.key_id, str(owner_id), parts.secret)

    def matches(self, stored: bytes, parts: KeyParts, owner_id: int) -> bool:
        """Say, in the same time whatever the answer, whether this is the stored key."""
        return hmac.compare_digest(stored, self.hash(parts, owner_id))

    async def seal(self, owner_id: int, key_id: str, signing_secret: str) -> SealedSigningSecret:
        """Return a signing secret sealed under a data key of its own.

        Raises:
            VaultSealed: no key is in memory.
        """
        dek = await self._crypto.new_dek(owner_id)
        context = _context(owner_id, key_id, dek)
        sealed = await self._crypto.encrypt(SecretValue(signing_secret), context, dek)
        return SealedSigningSecret(owner_id, key_id, sealed, dek)

    async def mac(self, secret: SealedSigningSecret | None, message: bytes) -> bytes:
        """Return the HMAC-SHA256 that a right signature of this message is.

        Raises:
            EnvelopeError: the secret does not open in its row, or is gone.
            VaultSealed: no key is in memory.
        """
        if secret is None:
            raise EnvelopeError
        return await self._crypto.mac(secret.sealed, secret.context, secret.dek, message)


def _context(owner_id: int, key_id: str, dek: WrappedDek) -> FieldContext:
    # Eight ASCII characters are a number of 63 bits.
    record_id = int.from_bytes(key_id.encode("ascii"), "big")
    return FieldContext(owner_id, _TABLE, record_id, _COLUMN, _REV, dek.dek_id)
