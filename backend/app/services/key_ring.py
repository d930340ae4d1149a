"""The root keys at hand: one seals, all open.

`ENCRYPTION_KEY`, or the file in `KEY_FILE`, is one or more Fernet keys, comma separated, each
optionally `kid:key`. A key that is missing or damaged refuses the start; no message ever shows a
value.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from typing import Final, Self

from backend.app.errors import ConfigurationError
from backend.app.services.envelope import DekContext, EnvelopeError
from backend.app.services.root_key import MasterKey, RootKey

KEYS_MAX: Final = 16
KEY_SOURCE: Final = "ENCRYPTION_KEY"

_ENTRY: Final = re.compile(r"(?:([a-z0-9-]{1,32}):)?([A-Za-z0-9_-]{43}=)")
_HELP: Final = (
    "Expected: one or more Fernet keys (44 characters of URL-safe base64 each), comma separated, "
    "each optionally preceded by its name as in `2026-a:KEY`; the first seals, all open. "
    "Make one with: python scripts/generate_encryption_key.py"
)


class KeyRing:
    """The root keys at hand, which wrap and unwrap data keys and do nothing else.

    The first is the one meant to seal. Which one does is for the database to say, because every
    instance must be able to open what one of them seals: `seal_with`.
    """

    def __init__(self, keys: Sequence[RootKey]) -> None:
        self._keys = {key.kid: key for key in keys}
        self.sealing = keys[0]

    @classmethod
    def from_environment(cls, text: str | None) -> Self:
        """Read the value of `ENCRYPTION_KEY`.

        Raises:
            ConfigurationError: a key is missing, damaged or given twice.
        """
        return cls(read_master_keys(text, KEY_SOURCE))

    @property
    def keys(self) -> tuple[RootKey, ...]:
        """All keys at hand, the one meant to seal first."""
        return tuple(self._keys.values())

    def get(self, kid: str) -> RootKey | None:
        """Return the key of that name, if it is at hand."""
        return self._keys.get(kid)

    def seal_with(self, kid: str) -> None:
        """Seal with the key of that name from now on; one that is not at hand changes nothing."""
        self.sealing = self._keys.get(kid, self.sealing)

    async def wrap(self, dek: bytes, context: DekContext) -> str:
        """Return a data key, sealed under the root key its context names.

        Raises:
            EnvelopeError: that root key is not at hand.
            VaultUnavailable: its provider is away, slow or refuses.
        """
        return await self._named(context).wrap(dek, context)

    async def unwrap(self, wrapped: str, context: DekContext) -> bytes:
        """Return a data key that was sealed under the root key its context names.

        Raises:
            EnvelopeError: damaged, moved, or that root key is not at hand.
            VaultUnavailable: its provider is away, slow or refuses.
        """
        return await self._named(context).unwrap(wrapped, context)

    def _named(self, context: DekContext) -> RootKey:
        key = self._keys.get(context.kid)
        if key is None:
            raise EnvelopeError
        return key


def read_master_keys(text: str | None, source: str) -> tuple[MasterKey, ...]:
    """Read Fernet keys as people write them; `source` is what a refusal calls them.

    Raises:
        ConfigurationError: a key is missing, damaged or given twice.
    """
    entries = [entry.strip() for entry in (text or "").split(",")]
    if entries == [""]:
        raise ConfigurationError(f"{source} is not set. {_HELP}")
    if len(entries) > KEYS_MAX:
        raise ConfigurationError(f"{source} holds more than {KEYS_MAX} keys. {_HELP}")
    keys = tuple(_read(entry, place, source) for place, entry in enumerate(entries, start=1))
    if len({key.kid for key in keys}) < len(keys) or len({key.raw for key in keys}) < len(keys):
        raise ConfigurationError(f"{source} names a key or a name twice. {_HELP}")
    return keys


def _read(entry: str, place: int, source: str) -> MasterKey:
    match = _ENTRY.fullmatch(entry)
    raw = base64.urlsafe_b64decode(match[2]) if match else b""
    # The last character of the base64 carries two spare bits: only one spelling is the key's.
    if match is None or base64.urlsafe_b64encode(raw).decode("ascii") != match[2]:
        raise ConfigurationError(f"Key number {place} of {source} is damaged. {_HELP}")
    return MasterKey(match[1] or _default_kid(raw), raw)


def _default_kid(raw: bytes) -> str:
    return hashlib.sha256(b"strongroom/kid/1" + raw).hexdigest()[:8]
