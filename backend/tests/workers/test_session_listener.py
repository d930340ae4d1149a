"""What one process ends, another hears of."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from asyncpg import InterfaceError, PostgresError
from sqlalchemy import text

from backend.app.container import Container
from backend.app.database import Database
from backend.app.enums import Role
from backend.app.repositories.auth_session_repository import AuthSessionRepository
from backend.app.services.principal import Principal
from backend.app.workers.session_listener import SessionListener
from backend.tests.support.api_keys import api_key
from backend.tests.support.people import person


class HearingGuard:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[object] = asyncio.Queue()

    def forget_session(self, session_id: UUID) -> None:
        self.heard.put_nowait(session_id)

    def forget_key(self, key_id: str) -> None:
        self.heard.put_nowait(key_id)

    def forget_user(self, user_id: int) -> None:
        self.heard.put_nowait(user_id)

    def forget_everything(self) -> None:
        self.heard.put_nowait("everything")

    async def next(self) -> object:
        return await asyncio.wait_for(self.heard.get(), timeout=60)


@pytest.fixture
def guard() -> HearingGuard:
    return HearingGuard()


@pytest.fixture
async def listener(database: Database, guard: HearingGuard) -> AsyncIterator[SessionListener]:
    listener = SessionListener(database, guard, answer_seconds_max=60.0)  # type: ignore[arg-type]
    await listener.tick()
    assert await guard.next() == "everything"
    yield listener
    await listener.close()


async def say(database: Database, message: str) -> None:
    async with database.transaction() as session:
        await session.execute(
            text("SELECT pg_notify('strongroom_sessions', :message)"), {"message": message}
        )


async def test_the_end_of_a_session_is_heard(
    database: Database, listener: SessionListener, guard: HearingGuard
) -> None:
    session_id = uuid4()

    async with database.transaction() as session:
        sessions = AuthSessionRepository(session)
        await sessions.announce_user_changed(7)
        await sessions.revoke(7, session_id, (await session.scalar(text("SELECT now()"))))
        assert guard.heard.empty()

    assert [await guard.next(), await guard.next()] == [7, session_id]


async def test_the_end_of_a_platform_key_is_heard(
    services: Container, listener: SessionListener, guard: HearingGuard
) -> None:
    alice = await person(services, "alice")
    key = await api_key(services, alice)
    principal = Principal(alice.user_id, alice.username, Role.USER, alice.session_id)

    await services.api_keys.revoke(principal, key.key_id)

    assert await guard.next() == key.key_id


@pytest.mark.parametrize("message", ["session:x", "user:x"])
async def test_a_message_nobody_understands_forgets_everything(
    database: Database, listener: SessionListener, guard: HearingGuard, message: str
) -> None:
    await say(database, message)

    assert await guard.next() == "everything"


async def test_a_broken_connection_is_replaced_and_what_was_missed_is_forgotten(
    database: Database, listener: SessionListener, guard: HearingGuard
) -> None:
    pid = listener._connection.get_server_pid()
    async with database.transaction() as session:
        await session.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})

    with pytest.raises((PostgresError, InterfaceError, OSError)):
        await listener.tick()
    await listener.tick()

    assert await guard.next() == "everything"
    await say(database, "user:9")
    assert await guard.next() == 9


async def test_listening_takes_no_connection_from_the_pool(
    database: Database, listener: SessionListener
) -> None:
    await listener.tick()

    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
