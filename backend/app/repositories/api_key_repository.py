"""SQL for platform keys. Only `find` names no owner: it is how an owner is found. None commits."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    String,
    any_,
    delete,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.enums import Role
from backend.app.errors import ApiKeyNotFound
from backend.app.models.api_key import ApiKey, ApiKeyNonce
from backend.app.models.dek import Dek
from backend.app.models.user import User
from backend.app.repositories.auth_session_repository import SESSIONS_CHANNEL

_REVOKED_KEPT_MAX: Final = 20


class FoundKey(NamedTuple):
    """A key, whether or not it still counts, with whoever holds it."""

    key: ApiKey
    username: str
    role: Role
    dek: Dek | None


class ApiKeyRepository:
    """The keys of programs."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, key_ids: Collection[str]) -> dict[str, FoundKey]:
        """Return keys by their names, but for those whose owner is gone or disabled."""
        found = await self._session.execute(
            select(ApiKey, User.username, User.role, Dek)
            .join(User, User.id == ApiKey.user_id)
            .outerjoin(Dek, Dek.dek_id == ApiKey.dek_id)
            .where(ApiKey.key_id == any_(literal(list(key_ids), ARRAY(String))), User.is_active)
        )
        return {
            key.key_id: FoundKey(key, username, Role(role), dek)
            for key, username, role, dek in found
        }

    async def add(self, key: ApiKey) -> None:
        """Write a new key."""
        self._session.add(key)
        await self._session.flush()

    async def list(self, owner_id: int) -> Sequence[ApiKey]:
        """Return the owner's keys, the newest first, revoked ones too."""
        found = await self._session.scalars(
            select(ApiKey)
            .where(ApiKey.user_id == owner_id)
            .order_by(ApiKey.created_at.desc(), ApiKey.key_id)
        )
        return found.all()

    async def count(self, owner_id: int) -> int:
        """Return how many keys of the owner are not revoked."""
        counted = await self._session.scalar(
            select(func.count()).where(ApiKey.user_id == owner_id, ApiKey.revoked_at.is_(None))
        )
        return counted or 0

    async def revoke(self, owner_id: int, key_id: str, at: datetime) -> ApiKey:
        """End one key of this owner, and tell every process.

        Raises:
            ApiKeyNotFound: absent, another's, or revoked already.
        """
        revoked = await self._revoke(ApiKey.user_id == owner_id, ApiKey.key_id == key_id, at=at)
        if not revoked:
            raise ApiKeyNotFound
        return revoked[0]

    async def revoke_all(self, owner_id: int, at: datetime) -> Sequence[ApiKey]:
        """End every key of this owner, tell every process, and return them."""
        return await self._revoke(ApiKey.user_id == owner_id, at=at)

    async def forget_long_revoked(self, owner_id: int) -> None:
        """Delete this owner's revoked keys, but the latest: the list would grow for ever."""
        kept = (
            select(ApiKey.key_id)
            .where(ApiKey.user_id == owner_id, ApiKey.revoked_at.is_not(None))
            .order_by(ApiKey.revoked_at.desc())
            .limit(_REVOKED_KEPT_MAX)
        )
        await self._session.execute(
            delete(ApiKey).where(
                ApiKey.user_id == owner_id,
                ApiKey.revoked_at.is_not(None),
                ApiKey.key_id.not_in(kept),
            )
        )

    async def stamp_used(self, key_ids: Collection[str], at: datetime) -> None:
        """Remember that these keys were in use a moment ago."""
        # A key that is just being revoked is left alone, and nobody waits for anybody in a circle.
        free = (
            select(ApiKey.key_id)
            .where(ApiKey.key_id.in_(key_ids))
            .with_for_update(key_share=True, skip_locked=True)
        )
        await self._session.execute(
            update(ApiKey).where(ApiKey.key_id.in_(free)).values(last_used_at=at)
        )

    async def spend_nonce(self, key_id: str, nonce: str, at: datetime) -> bool:
        """Return whether this is the first request of the key with this nonce."""
        spent = await self._session.execute(
            insert(ApiKeyNonce)
            .values(key_id=key_id, nonce=nonce, used_at=at)
            .on_conflict_do_nothing()
            .returning(ApiKeyNonce.nonce)
        )
        return spent.one_or_none() is not None

    async def delete_nonces(self, before: datetime, rows_max: int) -> int:
        """Delete nonces used before this moment, a bounded number at a time."""
        old = (
            select(ApiKeyNonce.key_id, ApiKeyNonce.nonce)
            .where(ApiKeyNonce.used_at < before)
            .limit(rows_max)
            .with_for_update(skip_locked=True)
            .cte("old")
        )
        gone = await self._session.execute(
            delete(ApiKeyNonce)
            .where(ApiKeyNonce.key_id == old.c.key_id, ApiKeyNonce.nonce == old.c.nonce)
            .returning(ApiKeyNonce.used_at)
        )
        return len(gone.all())

    async def _revoke(self, *which: ColumnElement[bool], at: datetime) -> Sequence[ApiKey]:
        revoked = await self._session.scalars(
            update(ApiKey)
            .where(*which, ApiKey.revoked_at.is_(None))
            .values(revoked_at=at)
            .returning(ApiKey)
        )
        keys = revoked.all()
        for key in keys:
            await self._session.execute(
                select(func.pg_notify(SESSIONS_CHANNEL, f"key:{key.key_id}"))
            )
        return keys
