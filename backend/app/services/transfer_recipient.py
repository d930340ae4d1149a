"""Who an export is for: a key pair that every installation has, and how people hand it around.

`srr1_<43: the public key><6: checksum>`. The private half is derived from the installation's own
data key whenever it is needed, and lies nowhere. The checksum catches a slip of the hand, not
somebody who puts his own recipient in the way: for that people compare fingerprints.

Source: docs/ARCHITECTURE.md, "Transfers".
"""

import base64
import hashlib
import re
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from backend.app.errors import ConfigurationError
from backend.app.services.api_key_format import checksum
from backend.app.services.envelope import EnvelopeError

RECIPIENT_PREFIX: Final = "srr1_"
FINGERPRINT_FORM: Final = r"[0-9a-f]{32}"

_FORM: Final = re.compile(r"(srr1_([0-9A-Za-z_-]{43}))([0-9A-Za-z]{6})")
_FINGERPRINT_BYTES: Final = 16
# Source: RFC 9180, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305.
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


class Recipient:
    """An installation as others see it. Anybody may close something for it."""

    def __init__(self, public_key: X25519PublicKey) -> None:
        self._public_key = public_key

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a recipient as `vault recipient` prints it.

        Raises:
            ConfigurationError: it is none, was mistyped, or is a point nobody has the key of.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None or match[3] != checksum(match[1]):
            raise ConfigurationError(_NO_RECIPIENT)
        recipient = cls(X25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(match[2] + "=")))
        try:
            # A few points make every agreement the same; the library refuses them when it agrees.
            recipient.close(b"", b"")
        except ValueError:
            raise ConfigurationError(_NO_RECIPIENT) from None
        if recipient.text != text.strip():
            raise ConfigurationError(_NO_RECIPIENT)
        return recipient

    @property
    def text(self) -> str:
        """The recipient as people hand it around. It may be shown to anybody."""
        raw = base64.urlsafe_b64encode(self._public_key.public_bytes_raw()).rstrip(b"=")
        unchecked = RECIPIENT_PREFIX + raw.decode("ascii")
        return unchecked + checksum(unchecked)

    @property
    def fingerprint(self) -> str:
        """32 hex digits by which people compare."""
        told = hashlib.sha256(b"strongroom/recipient/1" + self._public_key.public_bytes_raw())
        return told.digest()[:_FINGERPRINT_BYTES].hex()

    def close(self, plaintext: bytes, context: bytes) -> bytes:
        """Return the plaintext so that this recipient alone opens it, in this context alone."""
        return _SUITE.encrypt(plaintext, self._public_key, context)


class RecipientKey:
    """The half that opens."""

    def __init__(self, seed: bytes) -> None:
        self._key = X25519PrivateKey.from_private_bytes(seed)
        self.recipient = Recipient(self._key.public_key())

    def open(self, closed: bytes, context: bytes) -> bytes:
        """Return what somebody closed for us.

        Raises:
            EnvelopeError: it is another's, damaged, or from another context.
        """
        try:
            return _SUITE.decrypt(closed, self._key, context)
        except (InvalidTag, ValueError):
            raise EnvelopeError from None


def in_groups(fingerprint: str) -> str:
    """Return a fingerprint as people read it to each other."""
    return " ".join(fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4))


_NO_RECIPIENT: Final = (
    "This is no recipient. One is `srr1_` and 49 letters, digits, - and _, "
    "as the other installation prints it: strongroom vault recipient"
)
