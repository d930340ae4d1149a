"""Keys tell when they were used, and old nonces go."""

from typing import Any

from sqlalchemy import text

from backend.app.container import Container
from backend.app.database import Database
from backend.app.enums import Role
from backend.app.repositories.api_key_repository import ApiKeyRepository
from backend.app.services.principal import Principal
from backend.app.services.request_signature import Asked
from backend.app.workers.api_key_keeper import NONCES_KEPT_FOR, ApiKeyKeeper
from backend.tests.support.api_keys import api_key
from backend.tests.support.people import person


async def no_body() -> bytes:
    return b""


async def test_a_key_that_was_used_says_when(
    services: Container, database: Database, clock: Any
) -> None:
    alice = await person(services, "alice")
    used, unused = await api_key(services, alice), await api_key(services, alice)
    plainly = Asked("GET", b"/", None, None, None, no_body)
    await services.guards.keys.admit(used.api_key, plainly, request_id=None, address=None)
    clock.advance(seconds=30)

    await ApiKeyKeeper(database, services.guards.keys, clock).tick()

    principal = Principal(alice.user_id, "alice", Role.USER, None)
    listed = {key.key_id: key.last_used_at for key in await services.api_keys.list_own(principal)}
    assert listed == {used.key_id: clock(), unused.key_id: None}
    assert services.guards.keys.take_used() == set()


async def test_nonces_go_when_nobody_can_use_them_again(
    services: Container, database: Database, clock: Any
) -> None:
    keeper = ApiKeyKeeper(database, services.guards.keys, clock)
    async with database.transaction() as session:
        assert await ApiKeyRepository(session).spend_nonce("k", "old", clock())
    clock.advance(seconds=NONCES_KEPT_FOR.total_seconds())
    async with database.transaction() as session:
        assert await ApiKeyRepository(session).spend_nonce("k", "new", clock())

    clock.advance(seconds=1)
    await keeper.tick()

    async with database.snapshot() as session:
        left = await session.scalars(text("SELECT nonce FROM api_key_nonces"))
    assert left.all() == ["new"]


async def test_a_bounded_number_goes_at_a_time(database: Database, clock: Any) -> None:
    async with database.transaction() as session:
        for number in range(5):
            await ApiKeyRepository(session).spend_nonce("k", str(number), clock())
    clock.advance(minutes=1)

    async with database.transaction() as session:
        gone = await ApiKeyRepository(session).delete_nonces(clock(), 3)

    assert gone == 3
