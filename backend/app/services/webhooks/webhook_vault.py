"""The signing secrets of webhooks: made here, shown once, sealed, and opened for one signature."""

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from standardwebhooks.webhooks import Webhook as Signer

from backend.app.models.webhook import WebhookSecret
from backend.app.repositories.webhook_repository import StoredSecret
from backend.app.secret_value import SecretValue
from backend.app.services.crypto_service import CryptoService, WrappedDek
from backend.app.services.envelope import FieldContext

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how one begins
_SECRET_BYTES: Final = 32
_COLUMN: Final = "sealed_secret"
# A secret never changes: another one is another row.
_REV: Final = 1


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """A secret, sealed for the row of this id, and the data key it is under."""

    secret_id: int
    owner_id: int
    sealed: str = field(repr=False)
    dek: WrappedDek


def new_webhook_secret() -> str:
    """Return 256 random bits in the form that the libraries of Standard Webhooks take.

    Source: standard-webhooks, spec/standard-webhooks.md, "Secret serialization".
    """
    raw = base64.b64encode(secrets.token_bytes(_SECRET_BYTES))
    return SECRET_PREFIX + raw.decode("ascii")


class WebhookVault:
    """Seals signing secrets, and signs with them."""

    def __init__(self, crypto: CryptoService) -> None:
        self._crypto = crypto

    async def seal(self, owner_id: int, secret_id: int, secret: str) -> SealedSecret:
        """Return a secret sealed under a data key of its own.

        Raises:
            VaultSealed: no key is in memory.
            VaultUnavailable: the root key's provider is away, slow or refuses.
        """
        dek = await self._crypto.new_dek(owner_id)
        context = _context(owner_id, secret_id, dek)
        sealed = await self._crypto.encrypt(SecretValue(secret), context, dek)
        return SealedSecret(secret_id, owner_id, sealed, dek)

    async def signed_headers(
        self, stored: Sequence[StoredSecret], message_id: str, at: datetime, body: str
    ) -> Mapping[str, str]:
        """Return the headers that prove a message, with a signature by each secret.

        Raises:
            EnvelopeError: a secret does not open in its row.
            VaultSealed: no key is in memory.
            VaultUnavailable: the root key's provider is away, slow or refuses.

        Source: standard-webhooks, spec/standard-webhooks.md, "Webhook headers (sending metadata)".
        """
        signatures = [await self._signature(each, message_id, at, body) for each in stored]
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(signatures),
        }

    async def _signature(
        self, stored: StoredSecret, message_id: str, at: datetime, body: str
    ) -> str:
        dek = WrappedDek.of(stored.dek)
        context = _context(stored.secret.user_id, stored.secret.id, dek)
        secret = await self._crypto.decrypt(stored.secret.sealed_secret, context, dek)
        with secret.reveal() as raw:
            return Signer(raw).sign(message_id, at, body)


def _context(owner_id: int, secret_id: int, dek: WrappedDek) -> FieldContext:
    return FieldContext(owner_id, WebhookSecret.__tablename__, secret_id, _COLUMN, _REV, dek.dek_id)
