"""What every key that wraps data keys can do, wherever it lives, and the one that lives in memory.

A root key never shows itself. It wraps a data key for one row and unwraps it for that row only.
"""

from dataclasses import dataclass, field
from typing import Final, Protocol

from backend.app.services.envelope import DekContext, key_check_value, unwrap_dek, wrap_dek

LOCAL: Final = "local"


class RootKey(Protocol):
    """A key-encryption key by name. `kcv` tells it from another key that took its name."""

    @property
    def provider(self) -> str:
        """Who holds it."""
        ...

    @property
    def kid(self) -> str:
        """What this installation calls it."""
        ...

    @property
    def reference(self) -> str | None:
        """What its provider calls it, if it has one."""
        ...

    @property
    def kcv(self) -> bytes:
        """Eight bytes that tell it from another."""
        ...

    async def wrap(self, dek: bytes, context: DekContext) -> str:
        """Return the `kw1` form of a data key.

        Raises:
            VaultUnavailable: the key service is away, slow or refuses.
        """
        ...

    async def unwrap(self, wrapped: str, context: DekContext) -> bytes:
        """Return the data key of a `kw1` form.

        Raises:
            EnvelopeError: it does not open in this context under this key.
            VaultUnavailable: the key service is away, slow or refuses.
        """
        ...

    async def healthy(self) -> bool:
        """Say whether it wraps, unwraps, and refuses what was wrapped for another row."""
        ...


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A root key in our own memory. Shown by no repr."""

    kid: str
    raw: bytes = field(repr=False)

    @property
    def provider(self) -> str:
        """Say that we hold it ourselves."""
        return LOCAL

    @property
    def reference(self) -> None:
        """Say that nobody else has a name for it."""
        return

    @property
    def kcv(self) -> bytes:
        """The key's check value."""
        return key_check_value(self.raw)

    @property
    def fingerprint(self) -> str:
        """What people compare: the key's check value in hex."""
        return self.kcv.hex()

    async def wrap(self, dek: bytes, context: DekContext) -> str:
        """Return the `kw1` form of a data key."""
        return wrap_dek(self.raw, context, dek)

    async def unwrap(self, wrapped: str, context: DekContext) -> bytes:
        """Return the data key of a `kw1` form.

        Raises:
            EnvelopeError: it does not open in this context under this key.
        """
        return unwrap_dek(self.raw, context, wrapped)

    async def healthy(self) -> bool:
        """Say yes: what is in memory answers."""
        return True
