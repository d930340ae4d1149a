"""SQL for wrapped data keys. Every query names the owner, but for those of a rotation, which goes
through everybody's keys and opens nothing. None commits."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.errors import VaultUnavailable
from backend.app.models.dek import Dek
from backend.app.models.kek import SEALING_STATES, Kek


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
        """Write a new data key; it must stand before the row it opens.

        Raises:
            VaultUnavailable: the root key it is under was retired meanwhile.
        """
        values = {
            "dek_id": dek_id,
            "owner_id": owner_id,
            "credential_id": credential_id,
            "kid": kid,
            "wrapped": wrapped,
            "kcv": kcv,
            "created_at": at,
        }
        # Whoever retires the root key holds its row locked: either it sees this key, or we see it.
        may_seal = (
            select(*(literal(value, Dek.__table__.c[name].type) for name, value in values.items()))
            .where(Kek.kid == kid, Kek.state.in_(SEALING_STATES))
            .with_for_update(read=True, key_share=True)
        )
        written = await self._session.execute(
            insert(Dek).from_select(list(values), may_seal).returning(Dek.dek_id)
        )
        if written.one_or_none() is None:
            raise VaultUnavailable("The root key was retired meanwhile.", retry_after_seconds=5)

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

    async def count(self, kid: str) -> int:
        """Return how many data keys lie under a root key."""
        query = select(func.count()).where(Dek.kid == kid, Dek.wrapped.is_not(None))
        return await self._session.scalar(query) or 0

    async def page(self, kid: str, after: UUID | None, rows_max: int) -> Sequence[Dek]:
        """Return the next data keys under a root key, in the order of their ids."""
        beyond = () if after is None else (Dek.dek_id > after,)
        found = await self._session.scalars(
            select(Dek)
            .where(Dek.kid == kid, Dek.wrapped.is_not(None), *beyond)
            .order_by(Dek.dek_id)
            .limit(rows_max)
        )
        return found.all()

    async def _shred(self, *which: ColumnElement[bool], at: datetime) -> int:
        shredded = await self._session.execute(
            update(Dek)
            .where(*which, Dek.wrapped.is_not(None))
            .values(wrapped=None, credential_id=None, shredded_at=at)
            .returning(Dek.dek_id)
        )
        return len(shredded.all())
