"""SQL for which instance holds which root key. All times are the database's. Nothing commits."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import ColumnElement, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.models.instance_key import InstanceKey

# Six missed reports: who is silent for longer is gone.
LIVE_FOR: Final = timedelta(seconds=30)
_REMEMBERED_FOR: Final = timedelta(hours=1)


class InstanceKeyRepository:
    """What the running instances can open."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def report(self, instance: str, kids: Sequence[str]) -> None:
        """Write down what an instance holds now, and forget those long gone."""
        gone = InstanceKey.seen_at < func.now() - _REMEMBERED_FOR
        await self._session.execute(
            delete(InstanceKey).where((InstanceKey.instance == instance) | gone)
        )
        await self._session.execute(
            insert(InstanceKey).values(
                [{"instance": instance, "kid": kid, "seen_at": func.now()} for kid in kids]
            )
        )

    async def forget(self, instance: str) -> None:
        """Remove an instance that stops."""
        await self._session.execute(delete(InstanceKey).where(InstanceKey.instance == instance))

    async def live(self) -> dict[str, frozenset[str]]:
        """Return the live instances, each with the names of the keys it holds."""
        found = await self._session.execute(
            select(InstanceKey.instance, func.array_agg(InstanceKey.kid))
            .where(_LIVE)
            .group_by(InstanceKey.instance)
            .order_by(InstanceKey.instance)
        )
        return {row[0]: frozenset(row[1]) for row in found}

    async def lacking(self, kid: str) -> list[str]:
        """Return the live instances that could not open what this key seals."""
        return [instance for instance, kids in (await self.live()).items() if kid not in kids]


_LIVE: Final[ColumnElement[bool]] = InstanceKey.seen_at > func.now() - LIVE_FOR
