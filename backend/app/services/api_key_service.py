"""The use cases of platform keys: make, list, revoke."""

from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_record import Act, AuditObject, AuditRecord, Outcome
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.enums import KeyScope, KeySigning
from backend.app.errors import TooManyApiKeys
from backend.app.models.api_key import ApiKey
from backend.app.repositories.api_key_repository import ApiKeyRepository
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.dek_repository import DekRepository
from backend.app.repositories.user_repository import UserRepository
from backend.app.schemas.api_key_schemas import ApiKeyCreate, ApiKeyMade, ApiKeyShown
from backend.app.services.api_key_format import (
    KeyParts,
    new_key_id,
    new_secret,
    new_signing_secret,
    written_key,
)
from backend.app.services.api_key_vault import ApiKeyVault, SealedSigningSecret
from backend.app.services.guards import Guards
from backend.app.services.principal import Principal

KEYS_PER_USER_MAX: Final = 20


class ApiKeyService:
    """Keys for programs. A key's secrets leave once, when it is made."""

    def __init__(
        self, *, database: Database, vault: ApiKeyVault, guards: Guards, now: Clock
    ) -> None:
        self._database = database
        self._vault = vault
        self._guards = guards
        self._now = now

    async def create(self, principal: Principal, asked: ApiKeyCreate) -> ApiKeyMade:
        """Make a key for whoever asks.

        Raises:
            TooManyApiKeys: there are as many already as one user may hold.
            VaultSealed: its signing secret cannot be sealed.
        """
        owner_id = principal.user_id
        parts = KeyParts(new_key_id(), new_secret())
        signing_secret = new_signing_secret() if asked.signing is KeySigning.HMAC else None
        sealed = signing_secret and await self._vault.seal(owner_id, parts.key_id, signing_secret)
        key = self._row(owner_id, parts, asked, sealed or None)
        async with self._database.transaction() as session:
            # Whoever makes another key of this user waits here, so that the count holds.
            await UserRepository(session).lock(owner_id)
            keys = ApiKeyRepository(session)
            if await keys.count(owner_id) >= KEYS_PER_USER_MAX:
                raise TooManyApiKeys(
                    f"A user holds {KEYS_PER_USER_MAX} keys at the most. Revoke one."
                )
            await keys.forget_long_revoked(owner_id)
            if sealed:
                await self._add_dek(session, sealed)
            await keys.add(key)
            await self._record(session, Act.API_KEY_CREATED, principal, [key])
        return ApiKeyMade(
            **_members(key), api_key=written_key(parts), signing_secret=signing_secret
        )

    async def list_own(self, principal: Principal) -> list[ApiKeyShown]:
        """Return one's own keys, the newest first; never a secret."""
        async with self._database.snapshot() as session:
            keys = await ApiKeyRepository(session).list(principal.user_id)
        return [_shown(key) for key in keys]

    async def revoke(self, principal: Principal, key_id: str) -> None:
        """End one of one's own keys, in every process at once.

        Raises:
            ApiKeyNotFound: absent, another's, or revoked already.
        """
        async with self._database.transaction() as session:
            key = await ApiKeyRepository(session).revoke(principal.user_id, key_id, self._now())
            await self._bury(session, principal, [key])
        self._guards.forget_key(key_id)

    async def list_of(self, administrator: Principal, user_id: int) -> list[ApiKeyShown]:
        """Return somebody's keys. That they were shown is recorded.

        Raises:
            UserNotFound: there is none of that id.
        """
        async with self._database.transaction() as session:
            user = await UserRepository(session).get(user_id)
            keys = await ApiKeyRepository(session).list(user.id)
            record = AuditRecord(
                act=Act.USER_READ,
                outcome=Outcome.DONE,
                caller=administrator.caller,
                at=self._now(),
                object=AuditObject("user", user_id, user_id),
                purpose="api_keys",
                n=len(keys),
            )
            await AuditRepository(session).append([record])
        return [_shown(key) for key in keys]

    async def revoke_all_of(self, administrator: Principal, user_id: int) -> None:
        """End every key of somebody, in every process at once.

        Raises:
            UserNotFound: there is none of that id.
        """
        async with self._database.transaction() as session:
            # Held, so that no key is made between the end of the others and the answer.
            user = await UserRepository(session).lock(user_id)
            keys = await ApiKeyRepository(session).revoke_all(user.id, self._now())
            await self._bury(session, administrator, list(keys))
        self._guards.forget_user(user_id)

    def _row(
        self,
        owner_id: int,
        parts: KeyParts,
        asked: ApiKeyCreate,
        sealed: SealedSigningSecret | None,
    ) -> ApiKey:
        now, days = self._now(), asked.expires_in_days
        return ApiKey(
            key_id=parts.key_id,
            user_id=owner_id,
            name=asked.name,
            key_hash=self._vault.hash(parts, owner_id),
            permissions=[scope.value for scope in KeyScope if scope in asked.scopes],
            networks=list(asked.networks),
            signing=asked.signing.value,
            signing_public_key=asked.public_key_bytes,
            sealed_signing_secret=sealed.sealed if sealed else None,
            dek_id=sealed.dek.dek_id if sealed else None,
            created_at=now,
            expires_at=None if days is None else now + timedelta(days=days),
        )

    async def _add_dek(self, session: AsyncSession, sealed: SealedSigningSecret) -> None:
        dek = sealed.dek
        await DekRepository(session).add(
            sealed.owner_id,
            dek_id=dek.dek_id,
            kid=dek.kid,
            wrapped=dek.wrapped,
            kcv=dek.kcv,
            at=self._now(),
        )

    async def _bury(
        self, session: AsyncSession, principal: Principal, revoked: list[ApiKey]
    ) -> None:
        # The signing secret of a key that ended is of no use to anybody but a thief.
        for key in revoked:
            if key.dek_id is not None:
                await DekRepository(session).shred(key.user_id, key.dek_id, self._now())
        await self._record(session, Act.API_KEY_REVOKED, principal, revoked)

    async def _record(
        self, session: AsyncSession, act: Act, principal: Principal, keys: list[ApiKey]
    ) -> None:
        records = [
            AuditRecord(
                act=act,
                outcome=Outcome.DONE,
                caller=principal.caller,
                at=self._now(),
                object=AuditObject("api_key", key.key_id, key.user_id),
            )
            for key in keys
        ]
        if records:
            await AuditRepository(session).append(records)


def _members(key: ApiKey) -> dict[str, object]:
    return {
        "key_id": key.key_id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.permissions,
        "networks": key.networks,
        "signing": key.signing,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    }


def _shown(key: ApiKey) -> ApiKeyShown:
    return ApiKeyShown.model_validate(_members(key))
