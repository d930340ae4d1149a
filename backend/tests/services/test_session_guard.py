"""Sessions are asked for rarely, and never pass once they have ended."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import event, text

from backend.app.container import Container
from backend.app.database import Database
from backend.app.errors import Unauthenticated
from backend.app.services.principal import Principal
from backend.app.services.session_guard import STALE_SECONDS_MAX, SessionGuard
from backend.app.services.token_service import TokenService
from backend.tests.support.people import Person, person


class HandTimer:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Door:
    """A guard of another process: nobody tells it anything."""

    def __init__(self, services: Container, database: Database, clock: Any) -> None:
        self.timer = HandTimer()
        tokens = TokenService(services.settings.auth, clock)
        self.guard = SessionGuard(database, tokens, clock, self.timer)

    async def admit(self, somebody: Person) -> Principal:
        return await self.guard.admit(
            somebody.headers["Authorization"], request_id="r", address="192.0.2.1"
        )


@pytest.fixture
def door(services: Container, database: Database, clock: Any) -> Door:
    return Door(services, database, clock)


async def end_sessions(services: Container) -> None:
    async with services.database.transaction() as session:
        await session.execute(text("UPDATE auth_sessions SET revoked_at = now()"))


async def test_a_principal_says_who_and_from_where(services: Container, door: Door) -> None:
    alice = await person(services, "alice")

    principal = await door.admit(alice)

    assert (principal.user_id, principal.username) == (alice.user_id, "alice")
    assert principal.caller.request_id == "r"
    assert principal.caller.actor.session == str(alice.session_id)


async def test_without_any_notice_an_ended_session_passes_five_seconds_at_most(
    services: Container, door: Door
) -> None:
    alice = await person(services, "alice")
    await door.admit(alice)
    await end_sessions(services)

    door.timer.seconds = STALE_SECONDS_MAX - 0.1
    await door.admit(alice)
    door.timer.seconds = STALE_SECONDS_MAX

    with pytest.raises(Unauthenticated):
        await door.admit(alice)


@pytest.mark.parametrize("told", ["session", "user", "everything"])
async def test_an_ended_session_is_refused_as_soon_as_the_guard_is_told(
    services: Container, door: Door, told: str
) -> None:
    alice = await person(services, "alice")
    await door.admit(alice)
    await end_sessions(services)

    {
        "session": lambda: door.guard.forget_session(alice.session_id),
        "user": lambda: door.guard.forget_user(alice.user_id),
        "everything": door.guard.forget_everything,
    }[told]()

    with pytest.raises(Unauthenticated):
        await door.admit(alice)


async def test_what_was_read_before_a_notice_is_not_remembered_after_it(
    services: Container, door: Door
) -> None:
    alice = await person(services, "alice")
    reading = asyncio.create_task(door.admit(alice))
    while door.guard._database.engine.pool.checkedout() == 0:  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    # The other process ends the session and says so while we still read the old state.
    door.guard.forget_session(alice.session_id)
    await reading
    await end_sessions(services)

    with pytest.raises(Unauthenticated):
        await door.admit(alice)


async def test_however_many_arrive_together_one_asks_the_database(
    services: Container, door: Door
) -> None:
    alice, asked = await person(services, "alice"), 0

    def count(*_: Any) -> None:
        nonlocal asked
        asked += 1

    event.listen(door.guard._database.engine.sync_engine.pool, "checkout", count)
    principals = await asyncio.gather(*(door.admit(alice) for _ in range(500)))

    assert {each.user_id for each in principals} == {alice.user_id}
    assert asked == 1


async def test_who_comes_after_a_notice_does_not_join_who_came_before_it(
    services: Container, door: Door
) -> None:
    alice = await person(services, "alice")
    before = asyncio.create_task(door.admit(alice))
    while door.guard._database.engine.pool.checkedout() == 0:  # type: ignore[attr-defined]
        await asyncio.sleep(0)
    await end_sessions(services)
    door.guard.forget_user(alice.user_id)

    with pytest.raises(Unauthenticated):
        await door.admit(alice)
    await asyncio.gather(before, return_exceptions=True)


async def test_a_caller_who_hangs_up_takes_nobody_along(services: Container, door: Door) -> None:
    alice = await person(services, "alice")
    impatient, patient = (asyncio.create_task(door.admit(alice)) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()

    assert (await patient).user_id == alice.user_id


async def test_a_token_does_not_carry_its_role_past_a_change(
    services: Container, door: Door
) -> None:
    alice = await person(services, "alice")
    async with services.database.transaction() as session:
        await session.execute(text("UPDATE users SET role = 'auditor', auth_version = 2"))

    with pytest.raises(Unauthenticated):
        await door.admit(alice)


@pytest.mark.parametrize("change", ["is_active = false", "auth_version = auth_version + 1"])
async def test_a_change_of_the_owner_ends_the_session(
    services: Container, door: Door, change: str
) -> None:
    alice = await person(services, "alice")
    async with services.database.transaction() as session:
        await session.execute(text(f"UPDATE users SET {change}"))

    with pytest.raises(Unauthenticated):
        await door.admit(alice)
