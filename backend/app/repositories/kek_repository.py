"""SQL for what we know of the root keys. Nothing here commits."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.models.dek import Dek
from backend.app.models.kek import Kek, KekState

# An arbitrary number that means "the root keys" to everybody who takes this lock.
_KEYS_LOCK: Final = 0x5372_4B65_7973


class KekRepository:
    """Root keys by name; they belong to the deployment, not to an owner."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self) -> None:
        """Keep every other start and key operation waiting until this block ends."""
        await self._session.execute(select(func.pg_advisory_xact_lock(_KEYS_LOCK)))

    async def list(self) -> Sequence[Kek]:
        """Return every root key this database has met."""
        return (await self._session.scalars(select(Kek).order_by(Kek.created_at, Kek.kid))).all()

    async def kids_in_use(self) -> frozenset[str]:
        """Return the names of the root keys that some data key still needs."""
        needed = exists().where(Dek.kid == Kek.kid, Dek.wrapped.is_not(None))
        return frozenset(await self._session.scalars(select(Kek.kid).where(needed)))

    async def add(
        self, *, kid: str, provider: str, kcv: bytes, at: datetime, reference: str | None = None
    ) -> None:
        """Write down a root key that opens but has not sealed yet."""
        self._session.add(
            Kek(
                kid=kid,
                provider=provider,
                provider_ref=reference,
                state=KekState.PENDING,
                kcv=kcv,
                created_at=at,
            )
        )
        await self._session.flush()

    async def activate(self, kid: str, at: datetime) -> bool:
        """Make one key the one that seals; return False if it was already."""
        if await self.active() == kid:
            return False
        await self._session.execute(
            update(Kek).where(Kek.state == KekState.ACTIVE).values(state=KekState.DECRYPT_ONLY)
        )
        await self._session.execute(
            update(Kek).where(Kek.kid == kid).values(state=KekState.ACTIVE, activated_at=at)
        )
        return True

    async def retire(self, kid: str, at: datetime) -> None:
        """Let a key seal no more."""
        await self._session.execute(
            update(Kek).where(Kek.kid == kid).values(state=KekState.RETIRED, retired_at=at)
        )

    async def destroy(self, kid: str, at: datetime) -> None:
        """Write down that a key exists no more."""
        await self._session.execute(
            update(Kek).where(Kek.kid == kid).values(state=KekState.DESTROYED, destroyed_at=at)
        )

    async def hold(self, kid: str) -> Kek | None:
        """Return one key, and let nobody write a data key under it until this block ends."""
        found = await self._session.scalars(select(Kek).where(Kek.kid == kid).with_for_update())
        return found.one_or_none()

    async def active(self) -> str | None:
        """Return the name of the key that seals."""
        return await self._session.scalar(select(Kek.kid).where(Kek.state == KekState.ACTIVE))
