"""SQL for the key pairs beside the one in use. Every query names the owner, but for the two by
which the keeper finds what is due; nothing commits."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.enums import Environment, KeyState
from backend.app.errors import CredentialChanged
from backend.app.models.api_credential import ApiCredential
from backend.app.models.credential_key_version import KEY_VERSION_IDS, CredentialKeyVersion
from backend.app.models.user import User


class KeyVersionRepository:
    """Pending and previous pairs. Whoever adds or takes one holds its credential."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def next_id(self) -> int:
        """Draw the id of a pair to come: its secrets are sealed under it."""
        return await self._session.scalar(select(KEY_VERSION_IDS.next_value())) or 0

    async def find(
        self, owner_id: int, credential_id: int, state: KeyState, at: datetime
    ) -> CredentialKeyVersion | None:
        """Return the pair in this state, unless its time is over."""
        found: CredentialKeyVersion | None = await self._session.scalar(
            select(CredentialKeyVersion).where(
                CredentialKeyVersion.user_id == owner_id,
                CredentialKeyVersion.credential_id == credential_id,
                CredentialKeyVersion.state == state,
                CredentialKeyVersion.expires_at > at,
            )
        )
        return found

    async def add(self, version: CredentialKeyVersion) -> None:
        """Lay a pair beside the one in use."""
        self._session.add(version)
        await self._session.flush()

    async def take(self, seen: CredentialKeyVersion) -> None:
        """Remove a pair, which is never changed in its place.

        Raises:
            CredentialChanged: somebody took it already.
        """
        if not await self._removed(seen.user_id, seen.credential_id, seen.id):
            raise CredentialChanged("The key pair was used or dropped meanwhile.")

    async def remove(
        self, owner_id: int, credential_id: int, state: KeyState
    ) -> CredentialKeyVersion | None:
        """Remove the pair in this state, and return what it was."""
        removed: CredentialKeyVersion | None = await self._session.scalar(
            delete(CredentialKeyVersion)
            .where(
                CredentialKeyVersion.user_id == owner_id,
                CredentialKeyVersion.credential_id == credential_id,
                CredentialKeyVersion.state == state,
            )
            .returning(CredentialKeyVersion)
        )
        return removed

    async def remove_all(self, owner_id: int, credential_id: int) -> Sequence[CredentialKeyVersion]:
        """Remove every pair beside the one in use, before the credential goes; return them."""
        # The owner first, as whoever deletes the owner does: nobody waits for each other.
        await self._session.execute(
            select(User.id).where(User.id == owner_id).with_for_update(read=True, key_share=True)
        )
        # Held then: nobody lays another beside it meanwhile.
        await self._session.execute(
            select(ApiCredential.id)
            .where(ApiCredential.user_id == owner_id, ApiCredential.id == credential_id)
            .with_for_update()
        )
        removed = await self._session.scalars(
            delete(CredentialKeyVersion)
            .where(
                CredentialKeyVersion.user_id == owner_id,
                CredentialKeyVersion.credential_id == credential_id,
            )
            .returning(CredentialKeyVersion)
        )
        return removed.all()

    async def disarm(self, seen: CredentialKeyVersion) -> None:
        """Let a previous pair come back only when somebody asks for it."""
        await self._session.execute(
            update(CredentialKeyVersion)
            .where(CredentialKeyVersion.user_id == seen.user_id, CredentialKeyVersion.id == seen.id)
            .values(rolls_back_until=None)
            .execution_options(synchronize_session=False)
        )

    async def expired(self, at: datetime, rows_max: int) -> Sequence[CredentialKeyVersion]:
        """Return pairs whose time is over, a bounded number."""
        found = await self._session.scalars(
            select(CredentialKeyVersion)
            .where(CredentialKeyVersion.expires_at <= at)
            .order_by(CredentialKeyVersion.expires_at)
            .limit(rows_max)
        )
        return found.all()

    async def claim_due(
        self, environment: Environment, at: datetime, apart: timedelta, rows_max: int
    ) -> Sequence[CredentialKeyVersion]:
        """Return previous pairs whose successor was refused in time, each to one caller at a time.

        The refusal must be of the very revision that took the pair's place.
        """
        due = (
            select(CredentialKeyVersion.id)
            .join(ApiCredential, ApiCredential.id == CredentialKeyVersion.credential_id)
            .where(
                CredentialKeyVersion.state == KeyState.PREVIOUS,
                CredentialKeyVersion.expires_at > at,
                ApiCredential.rev == CredentialKeyVersion.replaced_by_rev,
                ApiCredential.environment == environment,
                ApiCredential.invalid_counted_at <= CredentialKeyVersion.rolls_back_until,
                or_(
                    CredentialKeyVersion.tried_at.is_(None),
                    CredentialKeyVersion.tried_at <= at - apart,
                ),
            )
            .order_by(CredentialKeyVersion.id)
            .limit(rows_max)
            .with_for_update(of=CredentialKeyVersion, skip_locked=True)
        )
        claimed = await self._session.scalars(
            update(CredentialKeyVersion)
            .where(CredentialKeyVersion.id.in_(due))
            .values(tried_at=at)
            .returning(CredentialKeyVersion),
            execution_options={"synchronize_session": False},
        )
        return claimed.all()

    async def _removed(self, owner_id: int, credential_id: int, version_id: int) -> bool:
        removed = await self._session.execute(
            delete(CredentialKeyVersion)
            .where(
                CredentialKeyVersion.user_id == owner_id,
                CredentialKeyVersion.credential_id == credential_id,
                CredentialKeyVersion.id == version_id,
            )
            .returning(CredentialKeyVersion.id)
            .execution_options(synchronize_session=False)
        )
        return removed.one_or_none() is not None
