"""Staged rotation of an exchange key: a new pair is pending until it is proved, then in use."""

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_record import Act, Caller
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.enums import Environment, KeyState, NotificationKind
from backend.app.errors import (
    BadRequest,
    CredentialExists,
    KeyVersionNotFound,
    RotationPending,
    RotationRightsSmaller,
)
from backend.app.exchanges.verification import ExchangeKeys
from backend.app.models.api_credential import ApiCredential
from backend.app.models.credential_key_version import CredentialKeyVersion
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.credential_repository import CredentialRepository
from backend.app.repositories.key_version_repository import KeyVersionRepository
from backend.app.schemas.rotation_schemas import Rotation, RotationStart, RotationTry
from backend.app.services.credential_audit import written
from backend.app.services.credential_rows import closed_keys, stored_passport
from backend.app.services.credential_vault import CredentialVault, SealedKeys, keep_dek
from backend.app.services.exchange_service import ExchangeService
from backend.app.services.key_policy import require_acceptable, require_environment
from backend.app.services.key_switch import Incoming, KeySwitch, clear, take
from backend.app.services.passport_changes import smaller_rights
from backend.app.services.rotation_rows import pending_version, shown_rotation


class RotationService:
    """Puts new key pairs into the place of old ones, and old ones back."""

    def __init__(
        self,
        *,
        database: Database,
        vault: CredentialVault,
        exchanges: ExchangeService,
        switch: KeySwitch,
        environment: Environment,
        now: Clock,
    ) -> None:
        self._database = database
        self._vault = vault
        self._exchanges = exchanges
        self._switch = switch
        self._environment = environment
        self._now = now

    async def start(
        self, owner_id: int, credential_id: int, asked: RotationStart, caller: Caller
    ) -> Rotation:
        """Store a new pair as pending, try it, and switch to it if it is worth as much.

        Raises:
            CredentialNotFound: absent, or another user's.
            CredentialOfOtherEnvironment: its exchange is not the one reached from here.
            Unprocessable: the passphrase is missing, or one too many.
            CredentialExists: the owner has bound the new key elsewhere.
            RotationPending: another pair waits already.
            CredentialRefused, KeyCanWithdraw: the new pair is not one to bind; it is dropped.
            RotationRightsSmaller: it may do less; it stays pending.
            ExchangeUnreachable, ExchangeThrottled: no verdict; it stays pending.
            CredentialChanged: replaced or deleted meanwhile.
        """
        async with self._database.transaction() as session:
            seen = await CredentialRepository(session).get(owner_id, credential_id)
            require_environment(seen.environment, self._environment)
            self._exchanges.accept(seen.exchange_name, asked.passphrase is not None)
            if await CredentialRepository(session).holds(
                owner_id, seen.exchange_name, asked.api_key, besides=credential_id
            ):
                raise CredentialExists
            await self._refuse_if_pending(session, seen)
            version_id = await KeyVersionRepository(session).next_id()
        keys = closed_keys(asked.api_key, asked.api_secret, asked.passphrase)
        sealed = await self._vault.seal(
            owner_id, version_id, seen.exchange_name, keys, table=CredentialKeyVersion
        )
        pending = pending_version(seen, version_id, asked.api_key, sealed, self._now())
        await self._keep_pending(seen, pending, sealed, caller)
        return await self._try(seen, pending, keys, asked, caller)

    async def resume(
        self, owner_id: int, credential_id: int, asked: RotationTry, caller: Caller
    ) -> Rotation:
        """Try the pending pair again, and switch to it if it is worth as much.

        Raises:
            KeyVersionNotFound: no pair is pending.
            CredentialUnreadable: a stored secret does not open.
            And what `start` raises once the pair is stored.
        """
        seen, pending = await self._find(owner_id, credential_id, KeyState.PENDING)
        keys = await self._vault.open(pending, "rotate", caller)
        return await self._try(seen, pending, keys, asked, caller)

    async def show(self, owner_id: int, credential_id: int) -> Rotation:
        """Return where a credential stands.

        Raises:
            CredentialNotFound: absent, or another user's.
        """
        at = self._now()
        async with self._database.snapshot() as session:
            seen = await CredentialRepository(session).get(owner_id, credential_id)
            versions = KeyVersionRepository(session)
            pending = await versions.find(owner_id, credential_id, KeyState.PENDING, at)
            previous = await versions.find(owner_id, credential_id, KeyState.PREVIOUS, at)
        return shown_rotation(seen, pending, previous)

    async def restore(self, owner_id: int, credential_id: int, caller: Caller) -> Rotation:
        """Put the previous pair back if its exchange accepts it; the one in use becomes previous.

        Raises:
            CredentialNotFound: absent, or another user's.
            KeyVersionNotFound: no pair is kept from before.
            CredentialExists: the owner has bound it elsewhere meanwhile.
            CredentialRefused, KeyCanWithdraw: it is not one to bind any more.
            ExchangeUnreachable, ExchangeThrottled: no verdict; nothing is changed.
            CredentialChanged: replaced or deleted meanwhile.
            CredentialUnreadable: a stored secret does not open.
        """
        seen, previous = await self._find(owner_id, credential_id, KeyState.PREVIOUS)
        return await self._switch.put_back(seen, previous, NotificationKind.KEY_RESTORED, caller)

    async def drop(self, owner_id: int, credential_id: int, caller: Caller) -> None:
        """Destroy the pending pair.

        Raises:
            CredentialNotFound: absent, or another user's.
            KeyVersionNotFound: no pair is pending.
            CredentialChanged: the pair was put into use meanwhile.
        """
        seen, pending = await self._find(owner_id, credential_id, KeyState.PENDING)
        await self._drop(seen, pending, caller, None)

    async def _find(
        self, owner_id: int, credential_id: int, state: KeyState
    ) -> tuple[ApiCredential, CredentialKeyVersion]:
        async with self._database.snapshot() as session:
            seen = await CredentialRepository(session).get(owner_id, credential_id)
            found = await KeyVersionRepository(session).find(
                owner_id, credential_id, state, self._now()
            )
        require_environment(seen.environment, self._environment)
        if found is None:
            raise KeyVersionNotFound
        return seen, found

    async def _refuse_if_pending(self, session: AsyncSession, seen: ApiCredential) -> None:
        versions = KeyVersionRepository(session)
        if await versions.find(seen.user_id, seen.id, KeyState.PENDING, self._now()) is not None:
            raise RotationPending("Try the pending key pair again, or drop it first.")

    async def _keep_pending(
        self,
        seen: ApiCredential,
        pending: CredentialKeyVersion,
        sealed: SealedKeys,
        caller: Caller,
    ) -> None:
        at = self._now()
        async with self._database.transaction() as session:
            held = await CredentialRepository(session).hold(seen)
            await self._refuse_if_pending(session, held)
            # One may be left whose time is over.
            await clear(session, held, KeyState.PENDING, at)
            await keep_dek(session, sealed, at)
            await KeyVersionRepository(session).add(pending)
            await AuditRepository(session).append([written(Act.ROTATION_STARTED, held, caller, at)])

    async def _try(
        self,
        seen: ApiCredential,
        pending: CredentialKeyVersion,
        keys: ExchangeKeys,
        asked: RotationTry,
        caller: Caller,
    ) -> Rotation:
        # No transaction is open here: the exchange may take seconds to answer.
        verdict = await self._exchanges.verify_credentials(seen.exchange_name, keys)
        try:
            require_acceptable(verdict, asked.allow_withdrawal)
        except BadRequest as refusal:
            await self._drop(seen, pending, caller, verdict.reason or refusal.slug)
            raise
        missing = smaller_rights(stored_passport(seen.passport), verdict.passport)
        if missing and not asked.accept_smaller_rights:
            names = ", ".join(each["right"] for each in missing)
            raise RotationRightsSmaller(
                f"Not told of the new key: {names}. The one in use stays.",
                facts={"exchange_name": seen.exchange_name, "missing": missing},
            )
        incoming = Incoming(pending, keys, verdict, NotificationKind.KEY_ROTATED, caller)
        return await self._switch.switch(seen, incoming)

    async def _drop(
        self,
        seen: ApiCredential,
        pending: CredentialKeyVersion,
        caller: Caller,
        reason: str | None,
    ) -> None:
        at = self._now()
        async with self._database.transaction() as session:
            held = await CredentialRepository(session).hold(seen)
            await take(session, pending, at)
            record = written(Act.ROTATION_DROPPED, held, caller, at)
            await AuditRepository(session).append([replace(record, reason=reason)])
