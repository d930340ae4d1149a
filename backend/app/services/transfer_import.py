"""Credentials on their way in: sealed anew under keys of this house, for their owners here.

The file was proved to its end before the first line is written. Then it goes owner by owner: all
of an owner's credentials in one block with what the trail says of them, or none. An import that
was killed is begun again, and finds what it did.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from itertools import groupby

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_record import Act, AuditObject, AuditRecord, Caller, Outcome
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.errors import Unauthenticated, UserNotFound
from backend.app.models.api_credential import ApiCredential
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.credential_repository import CredentialRepository
from backend.app.schemas.transfer_schemas import Transferred
from backend.app.services.credential_audit import shared, written
from backend.app.services.credential_history import report_shared_key
from backend.app.services.credential_rows import closed_keys, sealed_values
from backend.app.services.credential_vault import CredentialVault, SealedKeys, keep_dek
from backend.app.services.key_policy import require_room
from backend.app.services.transfer_file import TransferHeader
from backend.app.services.transfer_plan import Fate, Planned


class TransferImport:
    """Stores what a plan says is new."""

    def __init__(self, database: Database, vault: CredentialVault, now: Clock) -> None:
        self._database = database
        self._vault = vault
        self._now = now

    async def carry_out(
        self, plan: Sequence[Planned], header: TransferHeader, caller: Caller
    ) -> AsyncGenerator[int, None]:
        """Store what is new, telling how many credentials are stored after each owner.

        Where nothing is new nothing is written, not even that it was tried.

        Raises:
            UserNotFound: an owner was removed meanwhile.
            TooManyCredentials, CredentialExists: an owner bound more, or the same, meanwhile.
            VaultUnavailable: the root key's provider is away, slow or refuses.
        """
        new = [each for each in plan if each.fate is Fate.NEW]
        if not new:
            return
        await self._record(header, caller, Outcome.ALLOWED, len(new))
        stored = 0
        for owner, theirs in groupby(sorted(new, key=_owner), key=_owner):
            stored += await self._store(*owner, [each.credential for each in theirs], caller)
            yield stored
        await self._record(header, caller, Outcome.DONE, stored)

    async def _store(
        self, owner_id: int, owner: str, credentials: Sequence[Transferred], caller: Caller
    ) -> int:
        async with self._database.transaction() as session:
            ids = [await CredentialRepository(session).next_id() for _ in credentials]
        # No transaction is open here: a key service may be asked. `require_room` bounds how often.
        sealed = await asyncio.gather(
            *(self._sealed(owner_id, *each) for each in zip(ids, credentials, strict=True))
        )
        # Binding a key locks what finds it at others: all who bind several do so in one order.
        sealed.sort(key=lambda pair: pair[1].key_fingerprint)
        async with self._database.transaction() as session:
            return await self._write(session, owner_id, owner, sealed, caller)

    async def _sealed(
        self, owner_id: int, credential_id: int, given: Transferred
    ) -> tuple[ApiCredential, SealedKeys]:
        keys = closed_keys(given.api_key, given.api_secret, given.passphrase)
        sealed = await self._vault.seal(owner_id, credential_id, given.exchange_name, keys)
        switched = {"is_active": given.is_active, "deactivated_at": given.deactivated_at}
        row = ApiCredential(
            id=credential_id,
            user_id=owner_id,
            exchange_name=given.exchange_name,
            environment=given.environment.value,
            label=given.label,
            **{**sealed_values(given.api_key, sealed, None), **switched},
        )
        return row, sealed

    async def _write(
        self,
        session: AsyncSession,
        owner_id: int,
        owner: str,
        sealed: Sequence[tuple[ApiCredential, SealedKeys]],
        caller: Caller,
    ) -> int:
        stored, at = CredentialRepository(session), self._now()
        try:
            await stored.hold_owner(owner_id)
        except Unauthenticated:
            raise UserNotFound(f"{owner} was removed meanwhile.") from None
        records = []
        for row, keys in sealed:
            # Bound by its owner since the plan was made.
            if await stored.holds(owner_id, row.exchange_name, row.api_key):
                continue
            require_room(await stored.count(owner_id))
            await keep_dek(session, keys, at, row.id)
            await stored.add(row)
            records.append(written(Act.CREDENTIAL_IMPORTED, row, caller, at, sealed=keys))
            others = await report_shared_key(session, row, at)
            records += [shared(row, caller, at, others)] if others else []
        if records:
            await AuditRepository(session).append(records)
        return sum(record.act is Act.CREDENTIAL_IMPORTED for record in records)

    async def _record(
        self, header: TransferHeader, caller: Caller, outcome: Outcome, count: int
    ) -> None:
        record = AuditRecord(
            act=Act.VAULT_IMPORTED,
            outcome=outcome,
            caller=caller,
            at=self._now(),
            object=AuditObject("installation", header.sender),
            n=count,
        )
        async with self._database.transaction() as session:
            await AuditRepository(session).append([record])


def _owner(planned: Planned) -> tuple[int, str]:
    return planned.owner_id, planned.owner
