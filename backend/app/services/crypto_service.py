"""The vault's locksmith: seals and opens fields, and makes the keys they are sealed under.

Every field is sealed under its own data key (DEK), which lies in the database wrapped under a
root key, which may live in a key service elsewhere. Unwrapped DEKs are kept for a minute, in a
bounded cache that `seal` empties. Not for use from threads: the cache belongs to the event loop.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self
from uuid import UUID

from cachetools import TTLCache
from cryptography.fernet import Fernet

from backend.app.errors import VaultSealed
from backend.app.ids import new_id
from backend.app.models.dek import Dek
from backend.app.secret_value import SecretValue
from backend.app.services.anchor_key import AnchorKey
from backend.app.services.envelope import (
    KEY_BYTES,
    DekContext,
    EnvelopeError,
    FieldContext,
    derive_key,
    key_check_value,
    length_prefixed,
    open_field,
    seal_field,
)
from backend.app.services.key_ring import KeyRing
from backend.app.services.transfer_recipient import RecipientKey

DEK_CACHE_TTL_SECONDS: Final = 60.0
DEK_CACHE_KEYS_MAX: Final = 1_000

_KEY_FINGERPRINT_BYTES: Final = 16
_CIPHERTEXT_FINGERPRINT_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class WrappedDek:
    """A data key as it lies in the database, and whose it is."""

    dek_id: UUID
    owner_id: int
    kid: str
    wrapped: str = field(repr=False)
    kcv: bytes

    @property
    def context(self) -> DekContext:
        """What it is bound to."""
        return DekContext(self.kid, self.dek_id, self.owner_id)

    @classmethod
    def of(cls, row: Dek) -> Self:
        """Return what a row says.

        Raises:
            EnvelopeError: it was shredded.
        """
        if row.wrapped is None:
            raise EnvelopeError
        return cls(row.dek_id, row.owner_id, row.kid, row.wrapped, row.kcv)


class CryptoService:
    """Seals and opens; remembers data keys for a minute and nothing else."""

    def __init__(self, key_ring: KeyRing, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._key_ring = key_ring
        self._deks: TTLCache[WrappedDek, bytes] = TTLCache(
            DEK_CACHE_KEYS_MAX, DEK_CACHE_TTL_SECONDS, timer=monotonic
        )
        self._index_key: bytes | None = None
        self._anchor_key: AnchorKey | None = None

    @staticmethod
    def generate_key() -> str:
        """Return a new master key in the form `ENCRYPTION_KEY` expects."""
        return Fernet.generate_key().decode("ascii")

    async def unlock(self, installation: WrappedDek) -> None:
        """Open the vault with the installation's own data key, which is drawn once and kept.

        What must stay comparable through every rotation is derived from it: root keys come and
        go, and it is wrapped anew under each like any other data key.

        Raises:
            EnvelopeError: our root keys do not open this installation.
            VaultUnavailable: the root key's provider is away, slow or refuses.
        """
        dek = await self._unwrap(installation)
        salt = installation.dek_id.bytes
        self._index_key = derive_key(dek, salt, b"strongroom/index/1")
        self._anchor_key = AnchorKey(derive_key(dek, salt, b"strongroom/anchor/1"))

    def seal(self) -> None:
        """Forget every data key; until the next `unlock` all use is refused."""
        self._deks.clear()
        self._index_key = self._anchor_key = None

    async def new_dek(self, owner_id: int, dek_id: UUID | None = None) -> WrappedDek:
        """Make a data key for one owner; it is in memory, ready to be sealed with.

        Raises:
            VaultUnavailable: the root key's provider is away, slow or refuses.
        """
        dek_id, dek = dek_id or new_id(), secrets.token_bytes(KEY_BYTES)
        context = DekContext(self._key_ring.sealing.kid, dek_id, owner_id)
        wrapped = await self._key_ring.wrap(dek, context)
        key = WrappedDek(dek_id, owner_id, context.kid, wrapped, key_check_value(dek))
        if self._index_key is not None:
            self._deks[key] = dek
        return key

    async def encrypt(self, plaintext: SecretValue, context: FieldContext, key: WrappedDek) -> str:
        """Return the plaintext sealed for one field of one row at one revision.

        Raises:
            EnvelopeError: the text is too long or no Unicode, or the key is another row's.
            VaultSealed: no key is in memory.
            VaultUnavailable: the root key's provider is away, slow or refuses.
        """
        dek = await self._dek(context, key)
        with plaintext.reveal() as raw:
            return seal_field(dek, context, _encoded(raw))

    async def decrypt(self, sealed: str, context: FieldContext, key: WrappedDek) -> SecretValue:
        """Return the plaintext of a sealed field.

        Raises:
            EnvelopeError: it does not open in this context.
            VaultSealed: no key is in memory.
            VaultUnavailable: the root key's provider is away, slow or refuses.
        """
        raw = open_field(await self._dek(context, key), context, sealed)
        try:
            return SecretValue(raw.decode("utf-8"))
        except UnicodeDecodeError:
            raise EnvelopeError from None

    async def mac(
        self, sealed: str, context: FieldContext, key: WrappedDek, message: bytes
    ) -> bytes:
        """Return HMAC-SHA256 of a message under a sealed secret, which never leaves this method.

        Raises:
            EnvelopeError: it does not open in this context.
            VaultSealed: no key is in memory.
            VaultUnavailable: the root key's provider is away, slow or refuses.
        """
        with (await self.decrypt(sealed, context, key)).reveal() as raw:
            return hmac.digest(_encoded(raw), message, "sha256")

    def key_fingerprint(self, exchange: str, api_key: str) -> bytes:
        """Return 16 bytes that are the same for the same key of the same exchange, always.

        Raises:
            VaultSealed: no key is in memory.
        """
        parts = length_prefixed(exchange.encode("ascii"), _encoded(api_key))
        return hmac.digest(self._unlocked(), parts, "sha256")[:_KEY_FINGERPRINT_BYTES]

    def anchor_key(self) -> AnchorKey:
        """Return the key that signs anchors of the audit trail: one for each installation, always.

        Raises:
            VaultSealed: no key is in memory.
        """
        if self._anchor_key is None:
            raise VaultSealed
        return self._anchor_key

    async def recipient_key(self, installation: WrappedDek) -> RecipientKey:
        """Return the key that opens what others export for this installation.

        It is derived when it is asked for: a process that imports nothing does not hold it.

        Raises:
            EnvelopeError: our root keys do not open this installation.
            VaultUnavailable: the root key's provider is away, slow or refuses.
        """
        dek = await self._unwrap(installation)
        return RecipientKey(derive_key(dek, installation.dek_id.bytes, b"strongroom/recipient/1"))

    def forget(self, key: WrappedDek) -> None:
        """Drop one data key from memory: its row is gone."""
        self._deks.pop(key, None)

    async def _dek(self, context: FieldContext, key: WrappedDek) -> bytes:
        self._unlocked()
        if (context.dek_id, context.owner_id) != (key.dek_id, key.owner_id):
            raise EnvelopeError
        # The cache's key is the whole row: a row that was tampered with is never in it.
        dek = self._deks.get(key)
        if dek is None:
            dek = await self._unwrap(key)
            # Sealed while the key service answered: then nothing may be remembered.
            self._unlocked()
            self._deks[key] = dek
        return dek

    async def _unwrap(self, key: WrappedDek) -> bytes:
        dek = await self._key_ring.unwrap(key.wrapped, key.context)
        if not hmac.compare_digest(key_check_value(dek), key.kcv):
            raise EnvelopeError
        return dek

    def _unlocked(self) -> bytes:
        if self._index_key is None:
            raise VaultSealed
        return self._index_key


def ciphertext_fingerprint(sealed: str) -> str:
    """Return the hex by which the audit trail recognises a sealed text."""
    return hashlib.sha256(sealed.encode("ascii")).hexdigest()[: 2 * _CIPHERTEXT_FINGERPRINT_BYTES]


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        # The original error would carry the text itself.
        raise EnvelopeError from None
