"""The key that signs anchors: Ed25519, from the installation's own data key, never stored."""

from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from backend.app.audit_anchor import Anchor, signed_bytes
from backend.app.audit_chain import Head
from backend.app.errors import ConfigurationError

_PUBLIC_KEY_BYTES: Final = 32


class AnchorVerifier:
    """Tells whether an anchor was signed by one key. Needs no secret."""

    def __init__(self, public_key: Ed25519PublicKey) -> None:
        self._public_key = public_key

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a public key as `audit verify` prints it.

        Raises:
            ConfigurationError: it is none.
        """
        try:
            raw = bytes.fromhex(text)
        except ValueError:
            raw = b""
        if len(raw) != _PUBLIC_KEY_BYTES:
            raise ConfigurationError("A public key of anchors is 64 hex digits.")
        return cls(Ed25519PublicKey.from_public_bytes(raw))

    @property
    def fingerprint(self) -> str:
        """The whole public key in hex: it may be shown to anybody."""
        return self._public_key.public_bytes_raw().hex()

    def accepts(self, anchor: Anchor) -> bool:
        """Tell whether this key signed that anchor."""
        try:
            self._public_key.verify(anchor.signature, signed_bytes(Head(anchor.seq, anchor.hash)))
        except InvalidSignature:
            return False
        return True


class AnchorKey:
    """Signs heads of the chain."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = AnchorVerifier(self._key.public_key())

    def sign(self, head: Head) -> bytes:
        """Return the signature of an anchor of this head."""
        return self._key.sign(signed_bytes(head))
