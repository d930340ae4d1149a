"""The vault's use cases: bind, show, change, try and remove a user's exchange keys."""

from typing import Any, Final

from pydantic import SecretStr, TypeAdapter

from backend.app.audit_record import Act, AuditObject, AuditRecord, Caller, Outcome
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.enums import Environment
from backend.app.errors import (
    CredentialExists,
    CredentialOfOtherEnvironment,
    CredentialRefused,
    TooManyCredentials,
)
from backend.app.exchanges.verification import ExchangeKeys
from backend.app.masking import mask_api_key
from backend.app.models.api_credential import ApiCredential
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.credential_repository import CredentialRepository
from backend.app.repositories.dek_repository import DekRepository
from backend.app.schemas.credential_schemas import (
    Credential,
    CredentialCreate,
    CredentialUpdate,
)
from backend.app.schemas.exchange_schemas import Verdict, VerifyRequest
from backend.app.secret_value import SecretValue
from backend.app.services.cache_service import CacheService
from backend.app.services.credential_vault import CredentialVault, SealedKeys
from backend.app.services.crypto_service import ciphertext_fingerprint
from backend.app.services.exchange_service import ExchangeService

CREDENTIALS_PER_USER_MAX: Final = 100
_LIST: Final = TypeAdapter(list[Credential])


class CredentialService:
    """A user's credentials. Secrets go in, and come out only towards an exchange."""

    def __init__(
        self,
        *,
        database: Database,
        vault: CredentialVault,
        exchanges: ExchangeService,
        cache: CacheService,
        environment: Environment,
        list_ttl_seconds: int,
        now: Clock,
    ) -> None:
        self._database = database
        self._vault = vault
        self._exchanges = exchanges
        self._cache = cache
        self._environment = environment
        self._list_ttl_seconds = list_ttl_seconds
        self._now = now

    async def create(self, owner_id: int, asked: CredentialCreate, caller: Caller) -> Credential:
        """Bind a key pair: try it at its exchange, seal it, store it.

        Raises:
            ExchangeUnknown, Unprocessable: the exchange, or the passphrase for it, is not right.
            CredentialExists: the owner has bound this key already.
            TooManyCredentials: the owner holds as many as one user may.
            CredentialRefused: the exchange refused the key; nothing is stored.
            ExchangeUnreachable, ExchangeThrottled: no verdict; nothing is stored.
        """
        exchange = self._exchanges.accept(asked.exchange_name, asked.passphrase is not None)
        credential_id = await self._reserve(owner_id, exchange, asked.api_key)
        keys = _closed(asked.api_key, asked.api_secret, asked.passphrase)
        verdict = await self._accepted(exchange, keys) if asked.verify else None

        sealed = self._vault.seal(owner_id, credential_id, exchange, keys)
        credential = ApiCredential(
            id=credential_id,
            user_id=owner_id,
            exchange_name=exchange,
            environment=self._environment.value,
            label=asked.label,
            **_sealed_values(asked.api_key, sealed, verdict),
        )
        async with self._database.transaction() as session:
            stored = CredentialRepository(session)
            await stored.hold_owner(owner_id)
            await _refuse_if_full(stored, owner_id)
            await self._add_dek(DekRepository(session), credential_id, sealed)
            await stored.add(credential)
            await AuditRepository(session).append(
                [self._written(Act.CREDENTIAL_CREATED, credential, caller, sealed)]
            )
        await self._forget_list(owner_id)
        return _shown(credential)

    async def list_json(self, owner_id: int) -> bytes:
        """Return the owner's credentials, oldest first, as the JSON of a list of `Credential`."""

        async def load() -> bytes:
            async with self._database.snapshot() as session:
                found = await CredentialRepository(session).list(owner_id)
            return _LIST.dump_json([_shown(credential) for credential in found])

        return await self._cache.through(_list_key(owner_id), self._list_ttl_seconds, load)

    async def get(self, owner_id: int, credential_id: int) -> Credential:
        """Return one credential.

        Raises:
            CredentialNotFound: absent, or another user's.
        """
        async with self._database.snapshot() as session:
            return _shown(await CredentialRepository(session).get(owner_id, credential_id))

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
            ExchangeUnreachable, ExchangeThrottled: no verdict; nothing is changed.
        """
        async with self._database.snapshot() as session:
            seen = await CredentialRepository(session).get(owner_id, credential_id)
        values = _plain_values(asked)
        sealed = None
        if asked.changes_secrets:
            self._refuse_other_environment(seen)
            keys = await self._merged(seen, asked, caller)
            verdict = await self._accepted(seen.exchange_name, keys) if asked.verify else None
            sealed = self._vault.seal(owner_id, seen.id, seen.exchange_name, keys, seen.rev + 1)
            values |= _sealed_values(keys.api_key, sealed, verdict)

        async with self._database.transaction() as session:
            await CredentialRepository(session).hold(seen)
            if sealed is not None:
                await DekRepository(session).shred(owner_id, seen.dek_id, self._now())
                await self._add_dek(DekRepository(session), seen.id, sealed)
            changed = await CredentialRepository(session).replace(seen, values)
            await AuditRepository(session).append(
                [self._written(Act.CREDENTIAL_UPDATED, changed, caller, sealed)]
            )
        await self._forget_list(owner_id)
        return _shown(changed)

    async def delete(self, owner_id: int, credential_id: int, caller: Caller) -> None:
        """Remove a credential for good, and destroy the key that opens it.

        Raises:
            CredentialNotFound: absent, or another user's.
        """
        async with self._database.transaction() as session:
            removed = await CredentialRepository(session).delete(owner_id, credential_id)
            await DekRepository(session).shred(owner_id, removed.dek_id, self._now())
            await AuditRepository(session).append(
                [
                    self._written(Act.CREDENTIAL_DELETED, removed, caller),
                    self._written(Act.CREDENTIAL_SHREDDED, removed, caller),
                ]
            )
        await self._forget_list(owner_id)

    async def verify(self, owner_id: int, credential_id: int, caller: Caller) -> Verdict:
        """Try a stored key at its exchange and remember when it last worked.

        Raises:
            CredentialNotFound: absent, or another user's.
            CredentialOfOtherEnvironment: its exchange is not the one reached from here.
            ExchangeUnreachable, ExchangeThrottled: no verdict; what we knew before still stands.
            CredentialChanged: replaced or deleted while the exchange was answering.
        """
        async with self._database.snapshot() as session:
            seen = await CredentialRepository(session).get(owner_id, credential_id)
        self._refuse_other_environment(seen)
        keys = await self._vault.open(seen, "verify", caller)

        # No transaction is open here: the exchange may take seconds to answer.
        verdict = await self._exchanges.verify_credentials(seen.exchange_name, keys)

        async with self._database.transaction() as session:
            stored = CredentialRepository(session)
            if verdict.is_valid:
                await stored.stamp_verified(
                    seen, verdict.checked_at, verdict.has_trading_permission
                )
            else:
                await stored.hold(seen)
            await AuditRepository(session).append([self._tried(seen, verdict, caller)])
        await self._forget_list(owner_id)
        return verdict

    async def try_keys(self, asked: VerifyRequest) -> Verdict:
        """Ask an exchange what a key pair is worth, without storing anything.

        Raises:
            ExchangeUnknown, Unprocessable: the exchange, or the passphrase for it, is not right.
            ExchangeUnreachable, ExchangeThrottled: no verdict.
        """
        exchange = self._exchanges.accept(asked.exchange_name, asked.passphrase is not None)
        keys = _closed(asked.api_key, asked.api_secret, asked.passphrase)
        return await self._exchanges.verify_credentials(exchange, keys)

    async def _reserve(self, owner_id: int, exchange: str, api_key: str) -> int:
        """Draw an id, unless the key could not be stored anyway: then no exchange is asked."""
        async with self._database.transaction() as session:
            stored = CredentialRepository(session)
            if await stored.holds(owner_id, exchange, api_key):
                raise CredentialExists
            await _refuse_if_full(stored, owner_id)
            return await stored.next_id()

    async def _accepted(self, exchange: str, keys: ExchangeKeys) -> Verdict:
        verdict = await self._exchanges.verify_credentials(exchange, keys)
        if verdict.is_valid:
            return verdict
        raise CredentialRefused(
            f"{verdict.error_message} {verdict.advice}",
            facts={
                "exchange_name": exchange,
                "reason": verdict.reason,
                "standing": verdict.standing,
                "error_message": verdict.error_message,
                "advice": verdict.advice,
                "exchange_code": verdict.exchange_code,
                "seen_address": verdict.seen_address,
            },
        )

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
            return _closed(api_key, asked.api_secret, asked.passphrase)
        stored = await self._vault.open(seen, "update", caller)
        return ExchangeKeys(
            api_key=api_key,
            api_secret=_hidden(asked.api_secret) or stored.api_secret,
            passphrase=_hidden(asked.passphrase) or stored.passphrase,
        )

    async def _add_dek(self, deks: DekRepository, credential_id: int, sealed: SealedKeys) -> None:
        await deks.add(
            sealed.dek.owner_id,
            dek_id=sealed.dek.dek_id,
            kid=sealed.dek.kid,
            wrapped=sealed.dek.wrapped,
            kcv=sealed.dek.kcv,
            at=self._now(),
            credential_id=credential_id,
        )

    async def _forget_list(self, owner_id: int) -> None:
        await self._cache.forget(_list_key(owner_id), self._list_ttl_seconds)

    def _refuse_other_environment(self, seen: ApiCredential) -> None:
        if seen.environment != self._environment:
            raise CredentialOfOtherEnvironment(
                f"This key belongs to {seen.environment}; this service reaches {self._environment}."
            )

    def _written(
        self,
        act: Act,
        credential: ApiCredential,
        caller: Caller,
        sealed: SealedKeys | None = None,
    ) -> AuditRecord:
        return AuditRecord(
            act=act,
            outcome=Outcome.DONE,
            caller=caller,
            at=self._now(),
            object=AuditObject("credential", credential.id, credential.user_id),
            kid=sealed.dek.kid if sealed else None,
            rev=credential.rev,
            ct=ciphertext_fingerprint(sealed.encrypted_api_secret) if sealed else None,
        )

    def _tried(self, seen: ApiCredential, verdict: Verdict, caller: Caller) -> AuditRecord:
        return AuditRecord(
            act=Act.CREDENTIAL_VERIFIED,
            outcome=Outcome.DONE if verdict.is_valid else Outcome.DENIED,
            caller=caller,
            at=verdict.checked_at,
            object=AuditObject("credential", seen.id, seen.user_id),
            reason=verdict.reason,
            rev=seen.rev,
        )


def _plain_values(asked: CredentialUpdate) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if "label" in asked.model_fields_set:
        values["label"] = asked.label
    if asked.is_active is not None:
        values["is_active"] = asked.is_active
    return values


def _sealed_values(api_key: str, sealed: SealedKeys, verdict: Verdict | None) -> dict[str, Any]:
    return {
        "api_key": api_key,
        "encrypted_api_secret": sealed.encrypted_api_secret,
        "encrypted_passphrase": sealed.encrypted_passphrase,
        "dek_id": sealed.dek.dek_id,
        "rev": sealed.rev,
        "key_fingerprint": sealed.key_fingerprint,
        # What an earlier key proved says nothing about this one.
        "last_verified_at": verdict.checked_at if verdict else None,
        "has_trading_permission": verdict.has_trading_permission if verdict else None,
    }


async def _refuse_if_full(stored: CredentialRepository, owner_id: int) -> None:
    if await stored.count(owner_id) >= CREDENTIALS_PER_USER_MAX:
        raise TooManyCredentials(f"One user may hold {CREDENTIALS_PER_USER_MAX} credentials.")


def _closed(api_key: str, secret: SecretStr, passphrase: SecretStr | None) -> ExchangeKeys:
    return ExchangeKeys(
        api_key=api_key,
        api_secret=SecretValue(secret.get_secret_value()),
        passphrase=_hidden(passphrase),
    )


def _hidden(given: SecretStr | None) -> SecretValue | None:
    return SecretValue(given.get_secret_value()) if given is not None else None


def _list_key(owner_id: int) -> str:
    return f"credentials:{owner_id}"


def _shown(credential: ApiCredential) -> Credential:
    return Credential(
        id=credential.id,
        exchange_name=credential.exchange_name,
        environment=Environment(credential.environment),
        label=credential.label,
        api_key_masked=mask_api_key(credential.api_key),
        is_active=credential.is_active,
        has_trading_permission=credential.has_trading_permission,
        last_verified_at=credential.last_verified_at,
        created_at=credential.created_at,
        updated_at=credential.updated_at,
    )
