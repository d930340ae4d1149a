"""The first administrator, the forgotten password, and what goes with a deleted user."""

import asyncio

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from backend.app.container import Container
from backend.app.enums import Role
from backend.app.errors import (
    LastAdministrator,
    LoginDelayed,
    LoginRefused,
    Unauthenticated,
    UserNotFound,
)
from backend.app.schemas.auth_schemas import LoginRequest
from backend.app.schemas.user_schemas import UserUpdate
from backend.app.services.auth_service import SignedIn
from backend.app.services.principal import Client, Principal
from backend.tests.support.access import OBJECTS, World
from backend.tests.support.people import PASSWORD, Person, audited, person


async def login(services: Container, username: str, password: str) -> SignedIn:
    asked = LoginRequest(username=username, password=SecretStr(password))
    return await services.auth.login(asked, Client("192.0.2.1", "tests"))


def principal(somebody: Person) -> Principal:
    return Principal(somebody.user_id, somebody.username, Role.ADMIN, somebody.session_id)


async def test_the_first_start_makes_one_administrator_and_the_second_none(
    services: Container,
) -> None:
    first = await services.users.ensure_administrator(SecretStr(PASSWORD))
    second = await services.users.ensure_administrator(SecretStr("another long sentence"))

    assert (first, second) == (True, False)
    signed_in = await login(services, "admin", PASSWORD)
    admitted = await services.guards.sessions.admit(
        f"Bearer {signed_in.tokens.access}", request_id=None, address=None
    )
    assert admitted.role is Role.ADMIN


async def test_a_reset_password_works_at_once_and_ends_what_was_open(
    services: Container,
) -> None:
    await services.users.ensure_administrator(SecretStr(PASSWORD))
    before = await login(services, "admin", PASSWORD)

    fresh = await services.users.reset_password("ADMIN")

    with pytest.raises(LoginRefused):
        await login(services, "admin", PASSWORD)
    with pytest.raises(Unauthenticated):
        await services.guards.sessions.admit(
            f"Bearer {before.tokens.access}", request_id=None, address=None
        )
    await login(services, "admin", fresh.get_secret_value())
    trail = await audited(services)
    assert not any(fresh.get_secret_value() in line for line in trail)


async def test_a_reset_password_ends_the_wait_too(services: Container) -> None:
    await services.users.ensure_administrator(SecretStr(PASSWORD))
    for _ in range(5):
        with pytest.raises(LoginRefused):
            await login(services, "admin", "wrong")
    with pytest.raises(LoginDelayed):
        await login(services, "admin", PASSWORD)

    fresh = await services.users.reset_password("admin")

    await login(services, "admin", fresh.get_secret_value())


async def test_nobody_is_reset_who_is_not_there(services: Container) -> None:
    with pytest.raises(UserNotFound):
        await services.users.reset_password("nobody")


async def test_a_deleted_user_leaves_no_key_that_opens_anything(
    client: object, services: Container
) -> None:
    admin, alice = await person(services, "root", Role.ADMIN), await person(services, "alice")
    world = World(client, services)  # type: ignore[arg-type]
    await OBJECTS["credential_id"].make(world, alice)

    await services.users.delete(principal(admin), alice.user_id)

    async with services.database.snapshot() as session:
        found = await session.execute(
            text("SELECT wrapped, shredded_at FROM deks WHERE owner_id = :owner"),
            {"owner": alice.user_id},
        )
        keys = found.all()
        left = (await session.execute(text("SELECT count(*) FROM api_credentials"))).scalar_one()
    assert left == 0
    assert [key.wrapped for key in keys] == [None]
    assert keys[0].shredded_at is not None


async def test_administrators_who_remove_each_other_at_once_leave_one(
    services: Container,
) -> None:
    several = [await person(services, f"root{n}", Role.ADMIN) for n in range(3)]
    demotion = UserUpdate(role=Role.USER)

    outcomes = await asyncio.gather(
        *(services.users.update(principal(each), each.user_id, demotion) for each in several),
        return_exceptions=True,
    )

    assert sum(isinstance(outcome, LastAdministrator) for outcome in outcomes) == 1
