"""The switch from one key pair of a credential to another: all of it or nothing.

The pair in use always lies in the credential's own row, so whoever reads it notices nothing. A
switch opens both pairs on the record, seals each for the place it moves to, and writes everything
in one block that holds only if nothing changed meanwhile.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_record import Act, Caller
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.enums import KeyState, NotificationKind
from backend.app.exchanges.verification import ExchangeKeys
from backend.app.models.api_credential import ApiCredential
from backend.app.models.credential_key_version import CredentialKeyVersion
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.credential_repository import CredentialRepository
from backend.app.repositories.dek_repository import DekRepository
from backend.app.repositories.key_version_repository import KeyVersionRepository
from backend.app.schemas.credential_schemas import CredentialUpdate
from backend.app.schemas.exchange_schemas import Verdict
from backend.app.schemas.rotation_schemas import Rotation
from backend.app.services.credential_audit import shared, written
from backend.app.services.credential_history import (
    keep_first_check,
    report_shared_key,
    tell_owner,
)
from backend.app.services.credential_list import CredentialList
from backend.app.services.credential_rows import changed_values, sealed_values, stored_passport
from backend.app.services.credential_vault import CredentialVault, SealedKeys, keep_dek
from backend.app.services.exchange_service import ExchangeService
from backend.app.services.key_policy import require_acceptable
from backend.app.services.passport_changes import Change, smaller_rights
from backend.app.services.rotation_rows import (
    could_withdraw,
    of_other_account,
    previous_version,
    shown_rotation,
)

_ACTS: Final = {
    NotificationKind.KEY_ROTATED: Act.CREDENTIAL_ROTATED,
    NotificationKind.KEY_RESTORED: Act.CREDENTIAL_RESTORED,
    NotificationKind.KEY_ROLLED_BACK: Act.CREDENTIAL_ROLLED_BACK,
}


@dataclass(frozen=True, slots=True)
class Incoming:
    """A pair that proved itself, and by what it takes the place of the one in use."""

    version: CredentialKeyVersion
    keys: ExchangeKeys
    verdict: Verdict
    by: NotificationKind
    caller: Caller


class KeySwitch:
    """Puts a pair into use that lies beside the one in use. A tool of the rotation's use cases."""

    def __init__(
        self,
        *,
        database: Database,
        vault: CredentialVault,
        exchanges: ExchangeService,
        listed: CredentialList,
        now: Clock,
    ) -> None:
        self._database = database
        self._vault = vault
        self._exchanges = exchanges
        self._list = listed
        self._now = now

    async def put_back(
        self,
        seen: ApiCredential,
        previous: CredentialKeyVersion,
        by: NotificationKind,
        caller: Caller,
    ) -> Rotation:
        """Put a previous pair back if its exchange accepts it; the one in use becomes previous.

        Raises:
            CredentialRefused, KeyCanWithdraw: it is not one to bind any more.
            ExchangeUnreachable, ExchangeThrottled: no verdict.
            CredentialExists: its owner has bound it elsewhere meanwhile.
            CredentialChanged: something of the credential changed meanwhile.
            CredentialUnreadable: a stored secret does not open.
        """
        keys = await self._vault.open(previous, "restore", caller)
        verdict = await self._exchanges.verify_credentials(seen.exchange_name, keys)
        # What was allowed of this pair once is allowed still.
        require_acceptable(verdict, could_withdraw(previous))
        return await self.switch(seen, Incoming(previous, keys, verdict, by, caller))

    async def switch(self, seen: ApiCredential, incoming: Incoming) -> Rotation:
        """Put a pair into use and keep the one it replaces, all of it or nothing.

        Raises:
            CredentialExists: its owner has bound the incoming pair elsewhere meanwhile.
            CredentialChanged: something of the credential changed meanwhile.
            CredentialUnreadable: the pair in use does not open.
        """
        async with self._database.transaction() as session:
            version_id = await KeyVersionRepository(session).next_id()
        outgoing = await self._vault.open(seen, "rotate", incoming.caller)
        kept = await self._vault.seal(
            seen.user_id, version_id, seen.exchange_name, outgoing, table=CredentialKeyVersion
        )
        sealed = await self._vault.seal(
            seen.user_id, seen.id, seen.exchange_name, incoming.keys, seen.rev + 1
        )
        at = self._now()
        async with self._list.transaction(seen.user_id) as session:
            held = await CredentialRepository(session).hold(seen)
            await take(session, incoming.version, at)
            await clear(session, held, KeyState.PREVIOUS, at)
            await DekRepository(session).shred(held.user_id, held.dek_id, at)
            await keep_dek(session, sealed, at, held.id)
            await keep_dek(session, kept, at)
            previous = previous_version(
                held,
                version_id,
                kept,
                at,
                rolls_back=incoming.by is NotificationKind.KEY_ROTATED,
            )
            await KeyVersionRepository(session).add(previous)
            of_keys = sealed_values(incoming.keys.api_key, sealed, incoming.verdict)
            changed = await CredentialRepository(session).replace(
                seen, changed_values(held, CredentialUpdate(), of_keys)
            )
            await self._report(session, changed, previous, incoming, sealed)
        return shown_rotation(changed, None, previous)

    async def _report(
        self,
        session: AsyncSession,
        changed: ApiCredential,
        previous: CredentialKeyVersion,
        incoming: Incoming,
        sealed: SealedKeys,
    ) -> None:
        """Begin the history of the pair now in use, tell its owner, and record the switch last."""
        at, verdict = previous.created_at, incoming.verdict
        before = stored_passport(previous.passport)
        facts = {
            "missing": smaller_rights(before, verdict.passport),
            "other_account": of_other_account(before, verdict.passport),
            "previous_until": previous.expires_at.isoformat(),
        }
        await keep_first_check(session, changed, verdict)
        await tell_owner(session, changed, [Change(incoming.by, facts)], at)
        others = await report_shared_key(session, changed, at)
        records = [
            written(
                _ACTS[incoming.by], changed, incoming.caller, at, sealed=sealed, verdict=verdict
            )
        ]
        records += [shared(changed, incoming.caller, at, others)] if others else []
        await AuditRepository(session).append(records)


async def take(session: AsyncSession, version: CredentialKeyVersion, at: datetime) -> None:
    """Remove a pair that lies beside the one in use, and destroy what opens it.

    Raises:
        CredentialChanged: somebody took it already.
    """
    await KeyVersionRepository(session).take(version)
    await DekRepository(session).shred(version.user_id, version.dek_id, at)


async def clear(session: AsyncSession, held: ApiCredential, state: KeyState, at: datetime) -> None:
    """Remove the pair in this state, if there is one, and destroy what opens it."""
    gone = await KeyVersionRepository(session).remove(held.user_id, held.id, state)
    if gone is not None:
        await DekRepository(session).shred(held.user_id, gone.dek_id, at)
