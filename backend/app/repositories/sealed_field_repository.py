"""SQL for everything that is sealed, whoever's it is: for verification only. Nothing commits."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.models.api_credential import ApiCredential
from backend.app.models.api_key import ApiKey
from backend.app.models.credential_key_version import CredentialKeyVersion
from backend.app.models.webhook import WebhookSecret

# Each of these secrets is sealed once: another one is another row.
_API_KEY_REV = 1
_WEBHOOK_SECRET_REV = 1


@dataclass(frozen=True, slots=True)
class SealedField:
    """A sealed text and what it is bound to; `record` is what people call its row."""

    dek_id: UUID
    owner_id: int
    table: str
    record_id: int
    record: str
    column: str
    rev: int
    sealed: str = field(repr=False)


class SealedFieldRepository:
    """Every sealed field of the house, table by table."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def under(self, dek_ids: Sequence[UUID]) -> list[SealedField]:
        """Return the fields that are sealed under these data keys."""
        in_use = await self._session.scalars(
            select(ApiCredential).where(ApiCredential.dek_id.in_(dek_ids))
        )
        beside = await self._session.scalars(
            select(CredentialKeyVersion).where(CredentialKeyVersion.dek_id.in_(dek_ids))
        )
        return [
            *_fields_of(in_use),
            *_fields_of(beside),
            *await self._api_keys(dek_ids),
            *await self._webhook_secrets(dek_ids),
        ]

    async def _api_keys(self, dek_ids: Sequence[UUID]) -> list[SealedField]:
        found = await self._session.scalars(select(ApiKey).where(ApiKey.dek_id.in_(dek_ids)))
        return [
            SealedField(
                dek_id=row.dek_id,
                owner_id=row.user_id,
                table=ApiKey.__tablename__,
                # As services/api_key_vault.py seals it: eight ASCII characters are a number.
                record_id=int.from_bytes(row.key_id.encode("ascii"), "big"),
                record=row.key_id,
                column="sealed_signing_secret",
                rev=_API_KEY_REV,
                sealed=row.sealed_signing_secret,
            )
            for row in found
            if row.sealed_signing_secret is not None and row.dek_id is not None
        ]

    async def _webhook_secrets(self, dek_ids: Sequence[UUID]) -> list[SealedField]:
        found = await self._session.scalars(
            select(WebhookSecret).where(WebhookSecret.dek_id.in_(dek_ids))
        )
        return [
            SealedField(
                dek_id=row.dek_id,
                owner_id=row.user_id,
                table=WebhookSecret.__tablename__,
                record_id=row.id,
                record=str(row.id),
                column="sealed_secret",
                rev=_WEBHOOK_SECRET_REV,
                sealed=row.sealed_secret,
            )
            for row in found
        ]


def _fields_of(rows: Iterable[ApiCredential | CredentialKeyVersion]) -> list[SealedField]:
    return [
        SealedField(
            dek_id=row.dek_id,
            owner_id=row.user_id,
            table=row.__tablename__,
            record_id=row.id,
            record=str(row.id),
            column=column,
            rev=row.rev,
            sealed=sealed,
        )
        for row in rows
        for column in ("encrypted_api_secret", "encrypted_passphrase")
        if (sealed := getattr(row, column)) is not None
    ]
