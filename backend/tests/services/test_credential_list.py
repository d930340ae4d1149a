"""A list is not remembered past a write, however the write ended."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.config import DatabaseSettings
from backend.app.container import Container
from backend.app.database import Database
from backend.app.errors import DatabaseUnavailable
from backend.app.services.cache_service import CacheService
from backend.app.services.credential_list import CredentialList
from backend.tests.support.people import Person, person

TTL_SECONDS = 300


class DeafDatabase(Database):
    """Commits, and the answer is lost: `hangs` for ever, or the connection is gone."""

    hangs = False

    def __init__(self, url: str) -> None:
        super().__init__(url, DatabaseSettings(_env_file=None))
        self.committed = asyncio.Event()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        async with super().transaction() as session:
            yield session
        self.committed.set()
        if self.hangs:
            await asyncio.Event().wait()
        raise DatabaseUnavailable


@pytest.fixture
async def deaf(database_url: str) -> AsyncIterator[DeafDatabase]:
    database = DeafDatabase(database_url)
    yield database
    await database.close()


@pytest.fixture
async def alice(services: Container) -> Person:
    return await person(services, "alice")


class Names:
    """An owner's list, with something in it that a write changes."""

    def __init__(self, database: Database, owner: Person) -> None:
        self._database = database
        self._owner_id = owner.user_id
        self._list = CredentialList(database, CacheService(None), TTL_SECONDS)

    async def shown(self) -> bytes:
        async def load() -> bytes:
            async with self._database.snapshot() as session:
                query = text("SELECT coalesce(full_name, '') FROM users WHERE id = :id")
                return str(await session.scalar(query, {"id": self._owner_id})).encode()

        return await self._list.through(self._owner_id, load)

    async def write(self, name: str, refuse: Exception | None = None) -> None:
        async with self._list.transaction(self._owner_id) as session:
            await session.execute(
                text("UPDATE users SET full_name = :name WHERE id = :id"),
                {"name": name, "id": self._owner_id},
            )
            if refuse is not None:
                raise refuse


async def test_a_commit_whose_answer_is_lost_is_not_hidden_by_a_remembered_list(
    deaf: DeafDatabase, alice: Person
) -> None:
    names = Names(deaf, alice)
    assert await names.shown() == b""

    with pytest.raises(DatabaseUnavailable):
        await names.write("new")

    assert await names.shown() == b"new"


async def test_a_write_cancelled_while_it_commits_is_not_hidden_either(
    deaf: DeafDatabase, alice: Person
) -> None:
    deaf.hangs = True
    names = Names(deaf, alice)
    assert await names.shown() == b""
    writing = asyncio.create_task(names.write("new"))
    await deaf.committed.wait()

    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing

    assert await names.shown() == b"new"


async def test_a_write_that_was_refused_leaves_what_was_there(
    services: Container, alice: Person
) -> None:
    names = Names(services.database, alice)
    await names.write("first")
    assert await names.shown() == b"first"

    with pytest.raises(ValueError, match="no"):
        await names.write("second", refuse=ValueError("no"))

    assert await names.shown() == b"first"
