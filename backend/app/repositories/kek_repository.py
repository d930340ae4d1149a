"""SQL for what we know of the master keys. Nothing here commits."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.models.dek import Dek
from backend.app.models.kek import Kek, KekState

# An arbitrary number that means "the master keys" to everybody who takes this lock.
_KEYS_LOCK: Final = 0x5372_4B65_7973


class KekRepository:
    """Master keys by name; they belong to the deployment, not to an owner."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self) -> None:
        """Keep every other start and key operation waiting until this block ends."""
        await self._session.execute(select(func.pg_advisory_xact_lock(_KEYS_LOCK)))

    async def list(self) -> Sequence[Kek]:
        """Return every master key this database has met."""
        return (await self._session.scalars(select(Kek).order_by(Kek.created_at, Kek.kid))).all()

    async def kids_in_use(self) -> frozenset[str]:
        """Return the names of the master keys that some data key still needs."""
        needed = exists().where(Dek.kid == Kek.kid, Dek.wrapped.is_not(None))
        return frozenset(await self._session.scalars(select(Kek.kid).where(needed)))

    async def add(self, *, kid: str, provider: str, kcv: bytes, at: datetime) -> None:
        """Write down a master key that opens but does not seal."""
        self._session.add(
            Kek(kid=kid, provider=provider, state=KekState.DECRYPT_ONLY, kcv=kcv, created_at=at)
        )
        await self._session.flush()

    async def activate(self, kid: str, at: datetime) -> bool:
        """Make one key the one that seals; return False if it was already."""
        if await self._active() == kid:
            return False
        await self._session.execute(
            update(Kek).where(Kek.state == KekState.ACTIVE).values(state=KekState.DECRYPT_ONLY)
        )
        await self._session.execute(
            update(Kek).where(Kek.kid == kid).values(state=KekState.ACTIVE, activated_at=at)
        )
        return True

    async def _active(self) -> str | None:
        return await self._session.scalar(select(Kek.kid).where(Kek.state == KekState.ACTIVE))
