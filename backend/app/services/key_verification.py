"""Opening everything that is sealed, to find what no longer opens before somebody needs it.

Nothing that is opened leaves this module, and that it is done is on the record before it begins.
"""

import hmac
from collections.abc import AsyncIterator, Sequence
from typing import Final
from uuid import UUID

from backend.app.audit_record import Act, Caller
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.models.dek import Dek
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.dek_repository import DekRepository
from backend.app.repositories.kek_repository import KekRepository
from backend.app.repositories.sealed_field_repository import SealedField, SealedFieldRepository
from backend.app.schemas.key_schemas import Unopened, Verified
from backend.app.services.envelope import (
    DekContext,
    EnvelopeError,
    FieldContext,
    key_check_value,
    open_field,
)
from backend.app.services.key_instances import key_event
from backend.app.services.key_ring import KeyRing

PAGE_KEYS: Final = 1_000


class KeyVerification:
    """Opens every data key and, where asked, every field under it."""

    def __init__(self, database: Database, key_ring: KeyRing, now: Clock) -> None:
        self._database = database
        self._key_ring = key_ring
        self._now = now

    async def run(self, caller: Caller, *, deep: bool) -> Verified:
        """Return what was opened and what does not open.

        Raises:
            VaultUnavailable: a key service is away, slow or refuses.
        """
        async with self._database.transaction() as session:
            active = await KekRepository(session).active() or "none"
            event = key_event(Act.KEYS_VERIFIED, active, caller, self._now)
            await AuditRepository(session).append([event])
        found = Verified(data_keys=0, fields=0, unopened=[])
        async for page in self._pages():
            fields = await self._fields(page) if deep else []
            found.data_keys += len(page)
            found.fields += len(fields)
            for row in page:
                mine = [field for field in fields if field.dek_id == row.dek_id]
                found.unopened += await self._unopened(row, mine)
        return found

    async def _pages(self) -> AsyncIterator[Sequence[Dek]]:
        async with self._database.snapshot() as session:
            kids = sorted(await KekRepository(session).kids_in_use())
        for kid in kids:
            after: UUID | None = None
            while True:
                # A page a snapshot: the keys may be many, and some may be moved meanwhile.
                async with self._database.snapshot() as session:
                    page = await DekRepository(session).page(kid, after, PAGE_KEYS)
                if not page:
                    break
                after = page[-1].dek_id
                yield page

    async def _fields(self, page: Sequence[Dek]) -> list[SealedField]:
        async with self._database.snapshot() as session:
            return await SealedFieldRepository(session).under([row.dek_id for row in page])

    async def _unopened(self, row: Dek, fields: Sequence[SealedField]) -> list[Unopened]:
        def named(what: str) -> Unopened:
            return Unopened(dek_id=str(row.dek_id), kid=row.kid, owner_id=row.owner_id, what=what)

        try:
            dek = await self._dek(row)
        except EnvelopeError:
            return [named(_owned_by(row))]
        return [
            named(f"{one.column} of {one.table} {one.record}")
            for one in fields
            if not _opens(dek, one)
        ]

    async def _dek(self, row: Dek) -> bytes:
        context = DekContext(row.kid, row.dek_id, row.owner_id)
        dek = await self._key_ring.unwrap(row.wrapped or "", context)
        if not hmac.compare_digest(key_check_value(dek), row.kcv):
            raise EnvelopeError
        return dek


def _opens(dek: bytes, field: SealedField) -> bool:
    context = FieldContext(
        field.owner_id, field.table, field.record_id, field.column, field.rev, field.dek_id
    )
    try:
        open_field(dek, context, field.sealed)
    except EnvelopeError:
        return False
    return True


def _owned_by(row: Dek) -> str:
    return "the data key" if row.credential_id is None else f"credential {row.credential_id}"
