"""The master keys from the environment: the first seals, all open.

`ENCRYPTION_KEY` is one or more Fernet keys, comma separated, each optionally `kid:key`. A key that
is missing or damaged refuses the start; no message ever shows a value.
"""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import Final, Self

from backend.app.errors import ConfigurationError
from backend.app.services.envelope import (
    DekContext,
    EnvelopeError,
    key_check_value,
    unwrap_dek,
    wrap_dek,
)

PROVIDER: Final = "local"
KEYS_MAX: Final = 16

_ENTRY: Final = re.compile(r"(?:([a-z0-9-]{1,32}):)?([A-Za-z0-9_-]{43}=)")
_HELP: Final = (
    "Expected: one or more Fernet keys (44 characters of URL-safe base64 each), comma separated, "
    "each optionally preceded by its name as in `2026-a:KEY`; the first seals, all open. "
    "Make one with: python scripts/generate_encryption_key.py"
)


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A key-encryption key and its name. Shown by no repr."""

    kid: str
    raw: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """What people compare: the key's check value in hex."""
        return key_check_value(self.raw).hex()


class KeyRing:
    """The master keys at hand, which wrap and unwrap data keys and do nothing else."""

    def __init__(self, keys: tuple[MasterKey, ...]) -> None:
        self._keys = {key.kid: key for key in keys}
        self.sealing = keys[0]

    @classmethod
    def from_environment(cls, text: str | None) -> Self:
        """Read the value of `ENCRYPTION_KEY`.

        Raises:
            ConfigurationError: a key is missing, damaged or given twice.
        """
        entries = [entry.strip() for entry in (text or "").split(",")]
        if entries == [""]:
            raise ConfigurationError(f"ENCRYPTION_KEY is not set. {_HELP}")
        if len(entries) > KEYS_MAX:
            raise ConfigurationError(f"ENCRYPTION_KEY holds more than {KEYS_MAX} keys. {_HELP}")
        keys = tuple(_read(entry, place) for place, entry in enumerate(entries, start=1))
        if len({key.kid for key in keys}) < len(keys) or len({key.raw for key in keys}) < len(keys):
            raise ConfigurationError(f"ENCRYPTION_KEY names a key or a name twice. {_HELP}")
        return cls(keys)

    @property
    def keys(self) -> tuple[MasterKey, ...]:
        """All keys at hand, the sealing one first."""
        return tuple(self._keys.values())

    def get(self, kid: str) -> MasterKey | None:
        """Return the key of that name, if it is at hand."""
        return self._keys.get(kid)

    def wrap(self, dek: bytes, context: DekContext) -> str:
        """Return a data key, sealed under the master key its context names.

        Raises:
            EnvelopeError: that master key is not at hand.
        """
        return wrap_dek(self._named(context), context, dek)

    def unwrap(self, wrapped: str, context: DekContext) -> bytes:
        """Return a data key that was sealed under the master key its context names.

        Raises:
            EnvelopeError: damaged, moved, or that master key is not at hand.
        """
        return unwrap_dek(self._named(context), context, wrapped)

    def _named(self, context: DekContext) -> bytes:
        key = self._keys.get(context.kid)
        if key is None:
            raise EnvelopeError
        return key.raw


def _read(entry: str, place: int) -> MasterKey:
    match = _ENTRY.fullmatch(entry)
    raw = base64.urlsafe_b64decode(match[2]) if match else b""
    # The last character of the base64 carries two spare bits: only one spelling is the key's.
    if match is None or base64.urlsafe_b64encode(raw).decode("ascii") != match[2]:
        raise ConfigurationError(f"Key number {place} of ENCRYPTION_KEY is damaged. {_HELP}")
    return MasterKey(match[1] or _default_kid(raw), raw)


def _default_kid(raw: bytes) -> str:
    return hashlib.sha256(b"strongroom/kid/1" + raw).hexdigest()[:8]
