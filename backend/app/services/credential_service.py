"""The vault's use cases: bind, show, change, try and remove a user's exchange keys."""

from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_record import Act, Caller
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.enums import Environment
from backend.app.errors import CredentialExists
from backend.app.exchanges.reasons import Standing
from backend.app.exchanges.verification import ExchangeKeys
from backend.app.models.api_credential import ApiCredential
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.credential_repository import CredentialRepository
from backend.app.repositories.dek_repository import DekRepository
from backend.app.repositories.key_version_repository import KeyVersionRepository
from backend.app.schemas.credential_schemas import (
    Credential,
    CredentialCreate,
    CredentialUpdate,
)
from backend.app.schemas.exchange_schemas import Verdict, VerifyRequest
from backend.app.services.credential_audit import shared, tried, written
from backend.app.services.credential_history import (
    keep_check,
    keep_first_check,
    report_shared_key,
)
from backend.app.services.credential_list import CredentialList
from backend.app.services.credential_rows import (
    changed_values,
    closed_keys,
    hidden,
    sealed_values,
    shown,
)
from backend.app.services.credential_vault import CredentialVault, SealedKeys, keep_dek
from backend.app.services.exchange_service import ExchangeService, require_verdict
from backend.app.services.key_policy import (
    require_acceptable,
    require_environment,
    require_room,
)

_LIST: Final = TypeAdapter(list[Credential])


class CredentialService:
    """A user's credentials. Secrets go in, and come out only towards an exchange."""

    def __init__(
        self,
        *,
        database: Database,
        vault: CredentialVault,
        exchanges: ExchangeService,
        listed: CredentialList,
        environment: Environment,
        now: Clock,
    ) -> None:
        self._database = database
        self._vault = vault
        self._exchanges = exchanges
        self._list = listed
        self._environment = environment
        self._now = now

    async def create(self, owner_id: int, asked: CredentialCreate, caller: Caller) -> Credential:
        """Bind a key pair: try it at its exchange, seal it, store it.

        Raises:
            ExchangeUnknown, Unprocessable: the exchange, or the passphrase for it, is not right.
            CredentialExists: the owner has bound this key already.
            TooManyCredentials: the owner holds as many as one user may.
            CredentialRefused: the exchange refused the key; nothing is stored.
            KeyCanWithdraw: it may take money out, and the request does not allow that.
            ExchangeUnreachable, ExchangeThrottled: no verdict; nothing is stored.
        """
        exchange = self._exchanges.accept(asked.exchange_name, asked.passphrase is not None)
        credential_id = await self._reserve(owner_id, exchange, asked.api_key)
        keys = closed_keys(asked.api_key, asked.api_secret, asked.passphrase)
        verdict = await self._accepted(exchange, keys, asked) if asked.verify else None

        sealed = await self._vault.seal(owner_id, credential_id, exchange, keys)
        credential = ApiCredential(
            id=credential_id,
            user_id=owner_id,
            exchange_name=exchange,
            environment=self._environment.value,
            label=asked.label,
            **sealed_values(asked.api_key, sealed, verdict),
        )
        async with self._list.transaction(owner_id) as session:
            stored = CredentialRepository(session)
            await stored.hold_owner(owner_id)
            require_room(await stored.count(owner_id))
            await keep_dek(session, sealed, self._now(), credential_id)
            await stored.add(credential)
            await self._keep_new_keys(
                session,
                Act.CREDENTIAL_CREATED,
                credential,
                caller,
                sealed=sealed,
                verdict=verdict,
            )
        return shown(credential)

    async def list_json(self, owner_id: int) -> bytes:
        """Return the owner's credentials, oldest first, as the JSON of a list of `Credential`."""

        async def load() -> bytes:
            async with self._database.snapshot() as session:
                found = await CredentialRepository(session).list(owner_id)
            return _LIST.dump_json([shown(credential) for credential in found])

        return await self._list.through(owner_id, load)

    async def get(self, owner_id: int, credential_id: int) -> Credential:
        """Return one credential.

        Raises:
            CredentialNotFound: absent, or another user's.
        """
        async with self._database.snapshot() as session:
            return shown(await CredentialRepository(session).get(owner_id, credential_id))

    async def update(
        self, owner_id: int, credential_id: int, asked: CredentialUpdate, caller: Caller
    ) -> Credential:
        """Change a credential. New keys are tried first; a refusal leaves the old ones in place.

        Raises:
            CredentialNotFound: absent, or another user's.
            CredentialExists: the owner has bound the new key already.
            CredentialChanged: replaced or deleted meanwhile.
            CredentialOfOtherEnvironment: its exchange is not the one reached from here.
            CredentialRefused: the exchange refused the new keys.
            KeyCanWithdraw: they may take money out, and the request does not allow that.
            ExchangeUnreachable, ExchangeThrottled: no verdict; nothing is changed.
        """
        async with self._database.snapshot() as session:
            seen = await CredentialRepository(session).get(owner_id, credential_id)
        sealed = verdict = None
        of_keys: dict[str, Any] = {}
        if asked.changes_secrets:
            require_environment(seen.environment, self._environment)
            keys = await self._merged(seen, asked, caller)
            if asked.verify:
                verdict = await self._accepted(seen.exchange_name, keys, asked)
            sealed = await self._vault.seal(
                owner_id, seen.id, seen.exchange_name, keys, seen.rev + 1
            )
            of_keys = sealed_values(keys.api_key, sealed, verdict)

        async with self._list.transaction(owner_id) as session:
            stored = CredentialRepository(session)
            held = await stored.hold(seen)
            if sealed is not None:
                await DekRepository(session).shred(owner_id, seen.dek_id, self._now())
                await keep_dek(session, sealed, self._now(), seen.id)
            changed = await stored.replace(seen, changed_values(held, asked, of_keys))
            await self._keep_new_keys(
                session,
                Act.CREDENTIAL_UPDATED,
                changed,
                caller,
                sealed=sealed,
                verdict=verdict,
            )
        return shown(changed)

    async def delete(self, owner_id: int, credential_id: int, caller: Caller) -> None:
        """Remove a credential for good, and destroy the key that opens it.

        Raises:
            CredentialNotFound: absent, or another user's.
        """
        async with self._list.transaction(owner_id) as session:
            at = self._now()
            deks = DekRepository(session)
            for version in await KeyVersionRepository(session).remove_all(owner_id, credential_id):
                await deks.shred(owner_id, version.dek_id, at)
            removed = await CredentialRepository(session).delete(owner_id, credential_id)
            await deks.shred(owner_id, removed.dek_id, at)
            await AuditRepository(session).append(
                [
                    written(act, removed, caller, at)
                    for act in (Act.CREDENTIAL_DELETED, Act.CREDENTIAL_SHREDDED)
                ]
            )

    async def verify(
        self, owner_id: int, credential_id: int, caller: Caller, purpose: str = "verify"
    ) -> Verdict:
        """Try a stored key at its exchange and remember when it last worked.

        Raises:
            CredentialNotFound: absent, or another user's.
            CredentialOfOtherEnvironment: its exchange is not the one reached from here.
            ExchangeUnreachable, ExchangeThrottled: no verdict; what we knew before still stands.
            CredentialChanged: replaced or deleted while the exchange was answering.
        """
        async with self._database.snapshot() as session:
            seen = await CredentialRepository(session).get(owner_id, credential_id)
        require_environment(seen.environment, self._environment)
        keys = await self._vault.open(seen, purpose, caller)

        # No transaction is open here: the exchange may take seconds to answer.
        verdict = await self._exchanges.ask(seen.exchange_name, keys)

        async with self._list.transaction(owner_id) as session:
            news = await keep_check(session, seen, verdict)
            if verdict.standing is not Standing.NO_VERDICT:
                await AuditRepository(session).append(tried(seen, verdict, caller, news))
        return require_verdict(verdict)

    async def try_keys(self, asked: VerifyRequest) -> Verdict:
        """Ask an exchange what a key pair is worth, without storing anything.

        Raises:
            ExchangeUnknown, Unprocessable: the exchange, or the passphrase for it, is not right.
            ExchangeUnreachable, ExchangeThrottled: no verdict.
        """
        exchange = self._exchanges.accept(asked.exchange_name, asked.passphrase is not None)
        keys = closed_keys(asked.api_key, asked.api_secret, asked.passphrase)
        return await self._exchanges.verify_credentials(exchange, keys)

    async def _reserve(self, owner_id: int, exchange: str, api_key: str) -> int:
        """Draw an id, unless the key could not be stored anyway: then no exchange is asked."""
        async with self._database.transaction() as session:
            stored = CredentialRepository(session)
            if await stored.holds(owner_id, exchange, api_key):
                raise CredentialExists
            require_room(await stored.count(owner_id))
            return await stored.next_id()

    async def _accepted(
        self, exchange: str, keys: ExchangeKeys, asked: CredentialCreate | CredentialUpdate
    ) -> Verdict:
        verdict = await self._exchanges.verify_credentials(exchange, keys)
        require_acceptable(verdict, asked.allow_withdrawal)
        return verdict

    async def _keep_new_keys(
        self,
        session: AsyncSession,
        act: Act,
        credential: ApiCredential,
        caller: Caller,
        *,
        sealed: SealedKeys | None,
        verdict: Verdict | None,
    ) -> None:
        """Keep what was learned of new keys, if there are any, and record what was done."""
        at = self._now()
        records = [written(act, credential, caller, at, sealed=sealed, verdict=verdict)]
        if verdict is not None:
            await keep_first_check(session, credential, verdict)
        if sealed is not None:
            others = await report_shared_key(session, credential, at)
            records += [shared(credential, caller, at, others)] if others else []
        await AuditRepository(session).append(records)

    async def _merged(
        self, seen: ApiCredential, asked: CredentialUpdate, caller: Caller
    ) -> ExchangeKeys:
        """Return the key pair as it would be after this update."""
        had_passphrase = seen.encrypted_passphrase is not None
        keeps_passphrase = had_passphrase and asked.api_key is None
        has_passphrase = asked.passphrase is not None or keeps_passphrase
        self._exchanges.accept(seen.exchange_name, has_passphrase)
        api_key = asked.api_key or seen.api_key
        if asked.api_secret is not None and not (keeps_passphrase and asked.passphrase is None):
            return closed_keys(api_key, asked.api_secret, asked.passphrase)
        stored = await self._vault.open(seen, "update", caller)
        return ExchangeKeys(
            api_key=api_key,
            api_secret=hidden(asked.api_secret) or stored.api_secret,
            passphrase=hidden(asked.passphrase) or stored.passphrase,
        )
