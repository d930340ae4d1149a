"""What a signed request is signed over, and whether its signature is right.

Pure, but for handing the HMAC in: a signing secret is opened by the vault alone.

Source: docs/ARCHITECTURE.md, "Platform keys".
"""

import binascii
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from backend.app.errors import SignatureRefused

TIMESTAMP_SECONDS_OFF_MAX: Final = 30
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")
_NONCE: Final = re.compile(r"[0-9A-Za-z_-]{16,64}")
_SIGNATURE: Final = re.compile(r"[0-9a-f]{64}|[0-9a-f]{128}")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as its sender signs it. The body is read only when a signature asks for it."""

    method: str
    target: bytes
    timestamp: str | None
    nonce: str | None
    signature: str | None
    body: Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed request, well formed and of now; whether the signature is right is still open."""

    nonce: str
    message: bytes
    signature: bytes


async def read_signed(asked: Asked, now_seconds: float) -> Signed:
    """Return what was signed, and with what.

    Raises:
        SignatureRefused: something is missing or malformed, or the clocks disagree.
    """
    timestamp, nonce, signature = asked.timestamp, asked.nonce, asked.signature
    if timestamp is None or nonce is None or signature is None:
        raise SignatureRefused("This key signs its requests, and this one is not signed.")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise SignatureRefused("X-SR-Timestamp is the time in whole seconds since 1970.")
    if not _NONCE.fullmatch(nonce):
        raise SignatureRefused("X-SR-Nonce has 16 to 64 letters, digits, - or _.")
    if not _SIGNATURE.fullmatch(signature):
        raise SignatureRefused("X-SR-Signature is written in lower-case hex digits.")
    if abs(now_seconds - int(timestamp)) > TIMESTAMP_SECONDS_OFF_MAX:
        raise SignatureRefused(
            f"X-SR-Timestamp is more than {TIMESTAMP_SECONDS_OFF_MAX} seconds from our clock.",
            facts={"server_seconds": int(now_seconds)},
        )
    digest = sha256(await asked.body()).hexdigest()
    head = f"{timestamp}\n{nonce}\n{asked.method}\n".encode("ascii")
    message = head + asked.target + b"\n" + digest.encode("ascii")
    return Signed(nonce, message, binascii.unhexlify(signature))


def ed25519_signed(public_key: bytes, signed: Signed) -> bool:
    """Say whether the owner of this public key signed.

    Source: RFC 8032.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signed.signature, signed.message)
    except InvalidSignature:
        return False
    return True
