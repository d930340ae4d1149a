"""SQL for the vault. Every query names the owner; none commits."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.database import constraint_of
from backend.app.errors import (
    CredentialChanged,
    CredentialExists,
    CredentialNotFound,
    Unauthenticated,
)
from backend.app.models.api_credential import CREDENTIAL_IDS, ApiCredential
from backend.app.models.user import User

_ONE_KEY_ONCE: Final = "uq_user_exchange_key"


class CredentialRepository:
    """Credentials as one user may see them."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def next_id(self) -> int:
        """Draw the id of a credential to come: its secrets are sealed under it."""
        return await self._session.scalar(select(CREDENTIAL_IDS.next_value())) or 0

    async def get(self, owner_id: int, credential_id: int) -> ApiCredential:
        """Return one credential of this owner.

        Raises:
            CredentialNotFound: absent, or another user's.
        """
        found = await self._session.scalar(
            select(ApiCredential).where(
                ApiCredential.user_id == owner_id, ApiCredential.id == credential_id
            )
        )
        if found is None:
            raise CredentialNotFound
        return found

    async def list(self, owner_id: int) -> list[ApiCredential]:
        """Return the owner's credentials, oldest first. `count` bounds how many there can be."""
        found = await self._session.scalars(
            select(ApiCredential)
            .where(ApiCredential.user_id == owner_id)
            .order_by(ApiCredential.id)
        )
        return list(found)

    async def hold_owner(self, owner_id: int) -> None:
        """Let no other block count or add credentials of this owner until this one ends.

        Raises:
            Unauthenticated: the owner is gone.
        """
        # NO KEY: rows that point at the user may still be written meanwhile.
        held = await self._session.scalar(
            select(User.id).where(User.id == owner_id).with_for_update(key_share=True)
        )
        if held is None:
            raise Unauthenticated

    async def count(self, owner_id: int) -> int:
        """Return how many credentials the owner holds."""
        counted = await self._session.scalar(
            select(func.count()).where(ApiCredential.user_id == owner_id)
        )
        return counted or 0

    async def holds(
        self, owner_id: int, exchange: str, api_key: str, besides: int | None = None
    ) -> bool:
        """Say whether the owner has bound this very key, `besides` one credential left aside."""
        return bool(
            await self._session.scalar(
                select(
                    exists().where(
                        ApiCredential.user_id == owner_id,
                        ApiCredential.exchange_name == exchange,
                        ApiCredential.api_key == api_key,
                        ApiCredential.id.is_distinct_from(besides),
                    )
                )
            )
        )

    async def add(self, credential: ApiCredential) -> None:
        """Store a new credential.

        Raises:
            CredentialExists: the owner has bound this key already.
        """
        self._session.add(credential)
        try:
            await self._session.flush()
        except IntegrityError as error:
            _translate(error)
        await self._session.refresh(credential)

    async def replace(self, seen: ApiCredential, values: Mapping[str, Any]) -> ApiCredential:
        """Write new values over the credential in `seen`, unless it changed since it was read.

        Raises:
            CredentialChanged: replaced or deleted since it was read.
            CredentialExists: the owner has bound the new key already.
        """
        try:
            replaced: ApiCredential | None = await self._session.scalar(
                update(ApiCredential)
                .where(*_still(seen))
                .values(**values)
                .returning(ApiCredential),
                # `hold` has read it into this block already, as it was.
                execution_options={"populate_existing": True},
            )
        except IntegrityError as error:
            _translate(error)
        if replaced is None:
            raise CredentialChanged("The credential changed while this change was being made.")
        return replaced

    async def stamp(self, held: ApiCredential, values: Mapping[str, Any]) -> None:
        """Record what a check told of a credential that `hold` holds.

        A check changes nothing its owner set, so `updated_at` stays, unless it switches the key.
        """
        if not values:
            return
        unchanged = {} if "is_active" in values else {"updated_at": ApiCredential.updated_at}
        await self._session.execute(
            update(ApiCredential)
            .where(ApiCredential.user_id == held.user_id, ApiCredential.id == held.id)
            .values(**values, **unchanged)
            .execution_options(synchronize_session=False)
        )

    async def hold(self, seen: ApiCredential) -> ApiCredential:
        """Keep `seen` as it is until this block ends, and return it as it is now.

        Raises:
            CredentialChanged: replaced or deleted since it was read.
        """
        # The owner first, as whoever deletes the owner does: nobody waits for each other.
        await self._session.execute(
            select(User.id)
            .where(User.id == seen.user_id)
            .with_for_update(read=True, key_share=True)
        )
        held: ApiCredential | None = await self._session.scalar(
            select(ApiCredential).where(*_still(seen)).with_for_update()
        )
        if held is None:
            raise CredentialChanged("The credential was replaced or deleted meanwhile.")
        return held

    async def bound_by_others(
        self, owner_id: int, key_fingerprint: bytes, rows_max: int
    ) -> Sequence[tuple[int, int]]:
        """Return who else has bound this key: user and credential, a bounded number of them.

        Two who bind it at the same moment come one after the other, so the second is seen.
        """
        lock = int.from_bytes(key_fingerprint[:8], signed=True)
        await self._session.execute(select(func.pg_advisory_xact_lock(lock)))
        found = await self._session.execute(
            select(ApiCredential.user_id, ApiCredential.id)
            .where(
                ApiCredential.key_fingerprint == key_fingerprint,
                ApiCredential.user_id != owner_id,
            )
            .order_by(ApiCredential.id)
            .limit(rows_max)
        )
        return [(user_id, credential_id) for user_id, credential_id in found]

    async def delete(self, owner_id: int, credential_id: int) -> ApiCredential:
        """Remove a credential for good, and return what it was.

        Raises:
            CredentialNotFound: absent, or another user's.
        """
        removed: ApiCredential | None = await self._session.scalar(
            delete(ApiCredential)
            .where(ApiCredential.user_id == owner_id, ApiCredential.id == credential_id)
            .returning(ApiCredential)
        )
        if removed is None:
            raise CredentialNotFound
        return removed


def _still(seen: ApiCredential) -> tuple[Any, ...]:
    # Every sealing yields a new token, so the tokens are their own version number.
    return (
        ApiCredential.user_id == seen.user_id,
        ApiCredential.id == seen.id,
        ApiCredential.encrypted_api_secret == seen.encrypted_api_secret,
        ApiCredential.encrypted_passphrase.is_not_distinct_from(seen.encrypted_passphrase),
    )


def _translate(error: IntegrityError) -> NoReturn:
    if constraint_of(error) == _ONE_KEY_ONCE:
        raise CredentialExists from None
    raise error
