"""A credential's secrets on their way into the database, and out of it again.

The only way out: the use is recorded and committed first, and what cannot be recorded stays
closed. What comes out goes to the connector and nowhere else.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_record import Act, AuditObject, AuditRecord, Caller, Outcome
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.errors import CredentialChanged, CredentialUnreadable, VaultUnavailable
from backend.app.exchanges.verification import ExchangeKeys
from backend.app.models.api_credential import ApiCredential
from backend.app.models.credential_key_version import CredentialKeyVersion
from backend.app.repositories.dek_repository import DekRepository
from backend.app.secret_value import SecretValue
from backend.app.services.audit_service import AuditService
from backend.app.services.crypto_service import CryptoService, WrappedDek
from backend.app.services.envelope import EnvelopeError, FieldContext

_SECRET: Final = "encrypted_api_secret"  # noqa: S105 - the name of a column
_PASSPHRASE: Final = "encrypted_passphrase"  # noqa: S105 - the name of a column

# Wherever a key pair lies, its columns have these names.
StoredKeys = ApiCredential | CredentialKeyVersion


@dataclass(frozen=True, slots=True)
class SealedKeys:
    """A credential's secrets, sealed for one row at one revision, and the key they are under."""

    dek: WrappedDek
    rev: int
    encrypted_api_secret: str = field(repr=False)
    encrypted_passphrase: str | None = field(repr=False)
    key_fingerprint: bytes


class CredentialVault:
    """Seals key pairs for their row, and opens them on the record."""

    def __init__(
        self, database: Database, crypto: CryptoService, audit: AuditService, now: Clock
    ) -> None:
        self._database = database
        self._crypto = crypto
        self._audit = audit
        self._now = now

    async def seal(
        self,
        owner_id: int,
        record_id: int,
        exchange: str,
        keys: ExchangeKeys,
        rev: int = 1,
        *,
        table: type[StoredKeys] = ApiCredential,
    ) -> SealedKeys:
        """Return the secrets sealed under a data key of their own, for the row to be written.

        Every change of the secrets seals anew, one revision higher; so does every move of a pair
        to another row.

        Raises:
            EnvelopeError: a secret is longer than an envelope holds.
            VaultSealed: no key is in memory.
            VaultUnavailable: the root key's provider is away, slow or refuses.
        """
        dek = await self._crypto.new_dek(owner_id)

        async def sealed(secret: SecretValue, column: str) -> str:
            context = FieldContext(
                owner_id, table.__tablename__, record_id, column, rev, dek.dek_id
            )
            return await self._crypto.encrypt(secret, context, dek)

        passphrase = keys.passphrase
        return SealedKeys(
            dek=dek,
            rev=rev,
            encrypted_api_secret=await sealed(keys.api_secret, _SECRET),
            encrypted_passphrase=None
            if passphrase is None
            else await sealed(passphrase, _PASSPHRASE),
            key_fingerprint=self._crypto.key_fingerprint(exchange, keys.api_key),
        )

    async def open(self, seen: StoredKeys, purpose: str, caller: Caller) -> ExchangeKeys:
        """Record that `caller` uses this credential, and for what; then open it.

        Raises:
            AuditUnavailable: the use could not be recorded; nothing was opened.
            CredentialChanged: its key was destroyed since the row was read.
            CredentialUnreadable: a secret does not open in its row.
            VaultSealed: no key is in memory.
            VaultUnavailable: the root key's provider is away, slow or refuses.
        """
        dek = await self._dek(seen)
        await self._audit.record(self._used(seen, dek, purpose, caller))
        try:
            return await self._opened(seen, dek)
        except EnvelopeError:
            await self._audit.record(self._used(seen, dek, purpose, caller, failed="unreadable"))
            raise CredentialUnreadable from None
        except VaultUnavailable:
            await self._audit.record(self._used(seen, dek, purpose, caller, failed="key-away"))
            raise

    async def _dek(self, seen: StoredKeys) -> WrappedDek:
        async with self._database.snapshot() as session:
            row = await DekRepository(session).find(seen.user_id, seen.dek_id)
        if row is None or row.wrapped is None:
            raise CredentialChanged("The credential was replaced or deleted meanwhile.")
        return WrappedDek.of(row)

    async def _opened(self, seen: StoredKeys, dek: WrappedDek) -> ExchangeKeys:
        async def opened(sealed: str, column: str) -> SecretValue:
            context = FieldContext(
                seen.user_id, seen.__tablename__, seen.id, column, seen.rev, seen.dek_id
            )
            return await self._crypto.decrypt(sealed, context, dek)

        passphrase = seen.encrypted_passphrase
        return ExchangeKeys(
            api_key=seen.api_key,
            api_secret=await opened(seen.encrypted_api_secret, _SECRET),
            passphrase=None if passphrase is None else await opened(passphrase, _PASSPHRASE),
        )

    def _used(
        self,
        seen: StoredKeys,
        dek: WrappedDek,
        purpose: str,
        caller: Caller,
        *,
        failed: str | None = None,
    ) -> AuditRecord:
        return AuditRecord(
            act=Act.CREDENTIAL_USED,
            outcome=Outcome.FAILED if failed else Outcome.ALLOWED,
            caller=caller,
            at=self._now(),
            object=AuditObject("credential", _credential_of(seen), seen.user_id),
            field=seen.state if isinstance(seen, CredentialKeyVersion) else None,
            purpose=purpose,
            reason=failed,
            kid=dek.kid,
            rev=seen.rev,
        )


async def keep_dek(
    session: AsyncSession, sealed: SealedKeys, at: datetime, credential_id: int | None = None
) -> None:
    """Write the data key of a sealed pair, before the row it opens.

    `credential_id` is told for the pair in use only: a credential has one.

    Raises:
        VaultUnavailable: the root key it is under was retired meanwhile.
    """
    await DekRepository(session).add(
        sealed.dek.owner_id,
        dek_id=sealed.dek.dek_id,
        kid=sealed.dek.kid,
        wrapped=sealed.dek.wrapped,
        kcv=sealed.dek.kcv,
        at=at,
        credential_id=credential_id,
    )


def _credential_of(seen: StoredKeys) -> int:
    return seen.credential_id if isinstance(seen, CredentialKeyVersion) else seen.id
