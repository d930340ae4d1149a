"""The two sealed forms: `sr1`, a field under its data key, and `kw1`, a data key under its master.

Pure functions over bytes. Fernet (AES-128-CBC with HMAC-SHA256) has no associated data, so what a
value belongs to is bound through key derivation: in another row, column, revision or tenant, the
same text meets another key and does not open. No `ttl` is ever given to Fernet: a clock that jumps
must not lock data away.

Source: docs/ARCHITECTURE.md, "Sealed forms".
"""

import base64
import binascii
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
SEALED_CHARACTERS_MAX: Final = 8192
# The longest plaintext whose envelope fits with the longest revision there is:
# 378 AES blocks less one byte of padding.
PLAINTEXT_BYTES_MAX: Final = 378 * 16 - 1
REV_MAX: Final = 10**18 - 1

_FERNET_FORM: Final = r"(gAAAAA[A-Za-z0-9_-]{1,8186}={0,2})"
_SR1: Final = re.compile(r"sr1\.([A-Za-z0-9_-]{22})\.([1-9][0-9]{0,17})\." + _FERNET_FORM)
_KW1: Final = re.compile(r"kw1\.local\.([a-z0-9-]{1,32})\." + _FERNET_FORM)
_KW1_REMOTE: Final = re.compile(
    r"kw1\.(awskms|transit)\.([a-z0-9-]{1,32})\.([A-Za-z0-9_-]{1,8100})"
)
_KEK_SALT: Final = b"strongroom/kek/1"
_KCV_BYTES: Final = 8

Encrypt = Callable[[Fernet, bytes], bytes]


class EnvelopeError(Exception):
    """A sealed text does not open: damaged, moved, foreign or malformed. It never says which."""

    def __init__(self) -> None:
        super().__init__("the sealed value does not open")


@dataclass(frozen=True, slots=True)
class FieldContext:
    """What a sealed field belongs to. `dek_id` and `rev` are those of its row."""

    owner_id: int
    table: str
    record_id: int
    column: str
    rev: int
    dek_id: UUID


@dataclass(frozen=True, slots=True)
class DekContext:
    """What a wrapped data key belongs to."""

    kid: str
    dek_id: UUID
    owner_id: int


def seal_field(
    dek: bytes, context: FieldContext, plaintext: bytes, encrypt: Encrypt = Fernet.encrypt
) -> str:
    """Return the `sr1` envelope of a plaintext; `encrypt` lets known answers fix time and IV.

    Raises:
        EnvelopeError: the plaintext is too long, or the context is none that could be opened.
    """
    if len(plaintext) > PLAINTEXT_BYTES_MAX:
        raise EnvelopeError
    token = encrypt(_field_fernet(dek, context), plaintext).decode("ascii")
    return f"sr1.{_b64u(context.dek_id.bytes)}.{context.rev}.{token}"


def open_field(dek: bytes, context: FieldContext, sealed: str) -> bytes:
    """Return the plaintext of an `sr1` envelope.

    Raises:
        EnvelopeError: it does not open in this context under this key.
    """
    dek_id, rev, token = _parse(_SR1, sealed)
    if dek_id != _b64u(context.dek_id.bytes) or rev != str(context.rev):
        raise EnvelopeError
    return _decrypt(_field_fernet(dek, context), token)


def wrap_dek(kek: bytes, context: DekContext, dek: bytes, encrypt: Encrypt = Fernet.encrypt) -> str:
    """Return the `kw1` form of a data key; `encrypt` lets known answers fix time and IV."""
    return f"kw1.local.{context.kid}.{encrypt(_dek_fernet(kek, context), dek).decode('ascii')}"


def unwrap_dek(kek: bytes, context: DekContext, wrapped: str) -> bytes:
    """Return the data key of a `kw1` form.

    Raises:
        EnvelopeError: it does not open in this context under this key.
    """
    kid, token = _parse(_KW1, wrapped)
    if kid != context.kid:
        raise EnvelopeError
    dek = _decrypt(_dek_fernet(kek, context), token)
    if len(dek) != KEY_BYTES:
        raise EnvelopeError
    return dek


def dek_info(context: DekContext) -> bytes:
    """Return what binds a wrapped data key to its row, whoever wraps it."""
    return b"strongroom/dek/1" + length_prefixed(
        context.kid.encode("ascii"), context.dek_id.bytes, _u64(context.owner_id)
    )


def remote_form(provider: str, context: DekContext, blob: bytes) -> str:
    """Return the `kw1` form of a data key that a key service wrapped.

    Raises:
        EnvelopeError: the service's answer is longer than any it should give.
    """
    wrapped = f"kw1.{provider}.{context.kid}.{_b64u(blob)}"
    if remote_blob(provider, context, wrapped) != blob:
        raise EnvelopeError
    return wrapped


def remote_blob(provider: str, context: DekContext, wrapped: str) -> bytes:
    """Return what a key service made of a data key.

    Raises:
        EnvelopeError: the form is another provider's, another key's or damaged.
    """
    named, kid, text = _parse(_KW1_REMOTE, wrapped)
    if (named, kid) != (provider, context.kid):
        raise EnvelopeError
    try:
        blob = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise EnvelopeError from None
    if _b64u(blob) != text:
        raise EnvelopeError
    return blob


def key_check_value(key: bytes) -> bytes:
    """Return eight bytes that tell this key from another without telling the key."""
    return hmac.digest(key, b"kcv", "sha256")[:_KCV_BYTES]


def derive_key(key: bytes, salt: bytes, info: bytes) -> bytes:
    """Return 32 bytes by HKDF with SHA-256.

    Source: RFC 5869.
    """
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(key)


def length_prefixed(*parts: bytes) -> bytes:
    """Return the parts, each after its length in two bytes: no two lists read the same."""
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def _field_fernet(dek: bytes, context: FieldContext) -> Fernet:
    if not 1 <= context.rev <= REV_MAX:
        raise EnvelopeError
    info = b"strongroom/field/1" + length_prefixed(
        _u64(context.owner_id),
        context.table.encode("ascii"),
        _u64(context.record_id),
        context.column.encode("ascii"),
        _u64(context.rev),
    )
    return _fernet(derive_key(dek, context.dek_id.bytes, info))


def _dek_fernet(kek: bytes, context: DekContext) -> Fernet:
    return _fernet(derive_key(kek, _KEK_SALT, dek_info(context)))


def _fernet(key: bytes) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(key))


def _parse(form: re.Pattern[str], text: str) -> tuple[str, ...]:
    match = form.fullmatch(text) if len(text) <= SEALED_CHARACTERS_MAX else None
    if match is None:
        raise EnvelopeError
    return match.groups()


def _decrypt(fernet: Fernet, token: str) -> bytes:
    try:
        # Base64 has several spellings of one value; only the one we write is ours.
        if base64.urlsafe_b64encode(base64.urlsafe_b64decode(token)).decode("ascii") != token:
            raise EnvelopeError
        return fernet.decrypt(token)
    except (binascii.Error, InvalidToken):
        raise EnvelopeError from None


def _u64(number: int) -> bytes:
    try:
        return number.to_bytes(8, "big")
    except OverflowError:
        raise EnvelopeError from None


def _b64u(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
