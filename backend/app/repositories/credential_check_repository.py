"""SQL for the history of checks. Every query names the owner; none commits."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.models.credential_check import CredentialCheck

CHECKS_KEPT_MAX: Final = 1_000


class CredentialCheckRepository:
    """What every check of a credential told, the newest of them."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, check: CredentialCheck) -> None:
        """Keep a check, and let the oldest go where there are too many of its credential."""
        self._session.add(check)
        await self._session.flush()
        of_credential = (
            CredentialCheck.user_id == check.user_id,
            CredentialCheck.credential_id == check.credential_id,
        )
        oldest_kept = (
            select(CredentialCheck.id)
            .where(*of_credential)
            .order_by(CredentialCheck.id.desc())
            .offset(CHECKS_KEPT_MAX - 1)
            .limit(1)
            .scalar_subquery()
        )
        await self._session.execute(
            delete(CredentialCheck)
            .where(*of_credential, CredentialCheck.id < oldest_kept)
            .execution_options(synchronize_session=False)
        )

    async def page(
        self, owner_id: int, credential_id: int, before_id: int | None, rows_max: int
    ) -> Sequence[CredentialCheck]:
        """Return the next checks of a credential, the newest first."""
        wanted = select(CredentialCheck).where(
            CredentialCheck.user_id == owner_id, CredentialCheck.credential_id == credential_id
        )
        if before_id is not None:
            wanted = wanted.where(CredentialCheck.id < before_id)
        found = await self._session.scalars(
            wanted.order_by(CredentialCheck.id.desc()).limit(rows_max)
        )
        return found.all()
