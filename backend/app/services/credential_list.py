"""The cached list of each owner's credentials, and the one way to write beneath it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.database import Database
from backend.app.services.cache_service import CacheService, Load


class CredentialList:
    """Remembers what an owner is shown, until something of it is written."""

    def __init__(self, database: Database, cache: CacheService, ttl_seconds: int) -> None:
        self._database = database
        self._cache = cache
        self._ttl_seconds = ttl_seconds

    async def through(self, owner_id: int, load: Load) -> bytes:
        """Return the owner's list as it is remembered, or as `load` returns it."""
        return await self._cache.through(_key(owner_id), self._ttl_seconds, load)

    @asynccontextmanager
    async def transaction(self, owner_id: int) -> AsyncIterator[AsyncSession]:
        """Open a block that writes credentials of this owner; afterwards the list is forgotten.

        Raises:
            DatabaseUnavailable: no connection, or it broke before the commit was acknowledged.
        """
        try:
            async with self._database.transaction() as session:
                yield session
        finally:
            # However it ended: a commit that was cut off may have taken place all the same.
            await self._cache.forget(_key(owner_id), self._ttl_seconds)


def _key(owner_id: int) -> str:
    return f"credentials:{owner_id}"
