"""SQL for wrapped data keys. Every query names the owner; none commits."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.models.dek import Dek


class DekRepository:
    """Data keys, and their end."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(
        self,
        owner_id: int,
        *,
        dek_id: UUID,
        kid: str,
        wrapped: str,
        kcv: bytes,
        at: datetime,
        credential_id: int | None = None,
    ) -> None:
        """Write a new data key; it must stand before the row it opens."""
        self._session.add(
            Dek(
                dek_id=dek_id,
                owner_id=owner_id,
                credential_id=credential_id,
                kid=kid,
                wrapped=wrapped,
                kcv=kcv,
                created_at=at,
            )
        )
        await self._session.flush()

    async def find(self, owner_id: int, dek_id: UUID) -> Dek | None:
        """Return a data key of this owner, shredded or not."""
        found = await self._session.scalars(
            select(Dek).where(Dek.owner_id == owner_id, Dek.dek_id == dek_id)
        )
        return found.one_or_none()

    async def shred(self, owner_id: int, dek_id: UUID, at: datetime) -> bool:
        """Destroy one data key; return False if there was none to destroy.

        Its line stays, free of the credential, so that a successor can take its place.
        """
        return await self._shred(Dek.owner_id == owner_id, Dek.dek_id == dek_id, at=at) == 1

    async def shred_all(self, owner_id: int, at: datetime) -> int:
        """Destroy every data key of one owner, before the owner goes; return how many."""
        return await self._shred(Dek.owner_id == owner_id, at=at)

    async def _shred(self, *which: ColumnElement[bool], at: datetime) -> int:
        shredded = await self._session.execute(
            update(Dek)
            .where(*which, Dek.wrapped.is_not(None))
            .values(wrapped=None, credential_id=None, shredded_at=at)
            .returning(Dek.dek_id)
        )
        return len(shredded.all())
