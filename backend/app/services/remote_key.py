"""What the root keys in key services have in common: the form, and proof before trust.

A service that wraps what it cannot unwrap would lose the data key, so every wrapping is opened
again before it is believed. That the binding to a row holds is proved by trying to break it.
"""

import hashlib
import hmac
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from backend.app.errors import VaultUnavailable
from backend.app.ids import new_id
from backend.app.services.envelope import (
    KEY_BYTES,
    DekContext,
    EnvelopeError,
    remote_blob,
    remote_form,
)
from backend.app.services.key_service_calls import KeyServiceCalls

_KCV_BYTES: Final = 8
_KID_HEX_DIGITS: Final = 8


class RemoteKey(ABC):
    """A root key that never leaves its key service."""

    def __init__(self, provider: str, reference: str, calls: KeyServiceCalls) -> None:
        self._calls = calls
        self.provider: Final = provider
        self.reference: Final = reference
        named = hashlib.sha256(f"strongroom/kid/1{provider}/{reference}".encode())
        self.kid: Final = f"{provider}-{named.hexdigest()[:_KID_HEX_DIGITS]}"
        # Nobody here knows the key, so its name stands for it; that the key behind the name is
        # still the same is proved by opening what it wrapped.
        self.kcv: Final = named.digest()[-_KCV_BYTES:]

    async def wrap(self, dek: bytes, context: DekContext) -> str:
        """Return the `kw1` form of a data key, opened again to be sure.

        Raises:
            VaultUnavailable: the key service is away, slow or refuses, or lost what it wrapped.
        """
        blob = await self._calls.ask(self._wrapping(dek, context))
        try:
            wrapped = remote_form(self.provider, context, blob)
            same = hmac.compare_digest(await self.unwrap(wrapped, context), dek)
        except EnvelopeError:
            same = False
        if not same:
            raise VaultUnavailable(
                f"The key service ({self.provider}) does not open what it wrapped itself."
            )
        return wrapped

    async def unwrap(self, wrapped: str, context: DekContext) -> bytes:
        """Return the data key of a `kw1` form.

        Raises:
            EnvelopeError: it does not open in this context under this key.
            VaultUnavailable: the key service is away, slow or refuses.
        """
        blob = remote_blob(self.provider, context, wrapped)
        dek = await self._calls.ask(self._unwrapping(blob, context))
        if len(dek) != KEY_BYTES:
            raise EnvelopeError
        return dek

    async def healthy(self) -> bool:
        """Say whether it wraps, unwraps, and refuses what was wrapped for another row."""
        context = DekContext(self.kid, new_id(), 0)
        try:
            wrapped = await self.wrap(secrets.token_bytes(KEY_BYTES), context)
            await self.unwrap(wrapped, replace(context, dek_id=new_id()))
        except VaultUnavailable:
            return False
        except EnvelopeError:
            return True
        return False

    @abstractmethod
    def _wrapping(self, dek: bytes, context: DekContext) -> Callable[[], bytes]:
        """Return the blocking call that wraps."""

    @abstractmethod
    def _unwrapping(self, blob: bytes, context: DekContext) -> Callable[[], bytes]:
        """Return the blocking call that unwraps; it raises `EnvelopeError` where it may not."""
