"""Keys are looked up rarely, never pass once they have ended, and strangers cost little."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from backend.app.container import Container
from backend.app.database import Database
from backend.app.errors import AddressThrottled, Unauthenticated
from backend.app.schemas.api_key_schemas import ApiKeyMade
from backend.app.services import api_key_guard
from backend.app.services.api_key_format import KeyParts, new_key_id, new_secret, written_key
from backend.app.services.api_key_guard import UNKNOWN_KEYS_PER_MINUTE_MAX, ApiKeyGuard
from backend.app.services.principal import Principal
from backend.app.services.request_signature import Asked
from backend.app.services.session_guard import STALE_SECONDS_MAX
from backend.tests.support.api_keys import api_key
from backend.tests.support.people import audited, person


class HandTimer:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def no_body() -> bytes:
    return b""


PLAINLY = Asked("GET", b"/", None, None, None, no_body)


class Door:
    """A guard of another process: nobody tells it anything."""

    def __init__(self, services: Container, database: Database) -> None:
        self.timer = HandTimer()
        vault = services.guards.keys._vault
        self.guard = ApiKeyGuard(database, vault, services.clock, self.timer)

    async def admit(self, key: str, address: str | None = "192.0.2.1") -> Principal:
        return await self.guard.admit(key, PLAINLY, request_id="r", address=address)


@pytest.fixture
def door(services: Container, database: Database) -> Door:
    return Door(services, database)


async def alices_key(services: Container, **members: Any) -> ApiKeyMade:
    return await api_key(services, await person(services, "alice"), **members)


async def change(services: Container, assignment: str) -> None:
    async with services.database.transaction() as session:
        await session.execute(text(f"UPDATE api_keys SET {assignment}"))


def another(key: ApiKeyMade) -> str:
    return written_key(KeyParts(key.key_id, new_secret()))


async def test_a_principal_says_whose_key_it_is(services: Container, door: Door) -> None:
    key = await alices_key(services)

    principal = await door.admit(key.api_key)

    assert principal.username == "alice"
    assert principal.session_id is None
    assert principal.caller.actor.key_prefix == key.prefix
    assert key.prefix == key.api_key[:12]


async def test_without_any_notice_a_revoked_key_passes_five_seconds_at_most(
    services: Container, door: Door
) -> None:
    key = await alices_key(services)
    await door.admit(key.api_key)
    await change(services, "revoked_at = now()")

    door.timer.seconds = STALE_SECONDS_MAX - 0.1
    await door.admit(key.api_key)
    door.timer.seconds = STALE_SECONDS_MAX

    with pytest.raises(Unauthenticated):
        await door.admit(key.api_key)


@pytest.mark.parametrize("told", ["key", "user", "everything"])
async def test_a_revoked_key_is_refused_as_soon_as_the_guard_is_told(
    services: Container, door: Door, told: str
) -> None:
    key = await alices_key(services)
    principal = await door.admit(key.api_key)
    await change(services, "revoked_at = now()")

    tell: dict[str, Callable[[], None]] = {
        "key": lambda: door.guard.forget_key(key.key_id),
        "user": lambda: door.guard.forget_user(principal.user_id),
        "everything": door.guard.forget_everything,
    }
    tell[told]()

    with pytest.raises(Unauthenticated):
        await door.admit(key.api_key)


async def test_what_was_read_before_a_notice_is_not_remembered_after_it(
    services: Container, door: Door
) -> None:
    key = await alices_key(services)
    reading = asyncio.create_task(door.admit(key.api_key))
    while door.guard._database.engine.pool.checkedout() == 0:  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    door.guard.forget_key(key.key_id)
    await reading
    await change(services, "revoked_at = now()")

    with pytest.raises(Unauthenticated):
        await door.admit(key.api_key)


async def test_refusals_are_told_alike(services: Container, door: Door, clock: Any) -> None:
    key = await alices_key(services, networks=["192.0.2.0/24"], expires_in_days=1)
    told = set()

    async def refused(text: str, address: str | None = "192.0.2.1") -> None:
        with pytest.raises(Unauthenticated) as refusal:
            await door.admit(text, address)
        told.add((type(refusal.value), refusal.value.detail))

    await refused("srk_nonsense")
    await refused(key.api_key[:-1] + ("0" if key.api_key[-1] != "0" else "1"))
    await refused(written_key(KeyParts(new_key_id(), new_secret())))
    await refused(another(key))
    await refused(key.api_key, "198.51.100.1")
    await refused(key.api_key, None)
    await refused(key.api_key, "nowhere")
    clock.advance(days=1)
    await refused(key.api_key)
    await change(services, "expires_at = NULL, revoked_at = now()")
    door.guard.forget_everything()
    await refused(key.api_key)

    assert told == {(Unauthenticated, "The platform key is not accepted.")}


@pytest.mark.parametrize("address", ["192.0.2.9", "::ffff:192.0.2.9", "2001:db8::1"])
async def test_a_key_passes_from_the_networks_it_names(
    services: Container, door: Door, address: str
) -> None:
    key = await alices_key(services, networks=["192.0.2.0/24", "2001:db8::/32"])

    assert (await door.admit(key.api_key, address)).address == address


async def test_a_disabled_users_key_is_refused(services: Container, door: Door) -> None:
    key = await alices_key(services)
    async with services.database.transaction() as session:
        await session.execute(text("UPDATE users SET is_active = false"))

    with pytest.raises(Unauthenticated):
        await door.admit(key.api_key)


@pytest.mark.parametrize("stolen", ["key_hash", "user_id"])
async def test_a_hash_copied_to_another_row_opens_nothing(
    services: Container, door: Door, stolen: str
) -> None:
    mine = await alices_key(services)
    victims = await api_key(services, await person(services, "victim"))
    async with services.database.transaction() as session:
        await session.execute(
            text(
                f"UPDATE api_keys SET {stolen} ="
                f" (SELECT {stolen} FROM api_keys WHERE key_id = :theirs) WHERE key_id = :mine"
            ),
            {"mine": mine.key_id, "theirs": victims.key_id},
        )

    with pytest.raises(Unauthenticated):
        await door.admit(mine.api_key)
    with pytest.raises(Unauthenticated):
        await door.admit(written_key(KeyParts(mine.key_id, victims.api_key[13:56])))


async def test_refused_uses_are_recorded_once_a_minute(services: Container, door: Door) -> None:
    key = await alices_key(services)

    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await door.admit(another(key))
    door.timer.seconds = 60
    with pytest.raises(Unauthenticated):
        await door.admit(another(key))

    refusals = [line for line in await audited(services) if "api_key.refused" in line]
    assert len(refusals) == 2
    assert '"reason":"secret"' in refusals[0]
    assert key.key_id in refusals[0]


async def test_unknown_keys_leave_no_line_and_soon_ask_nothing_of_the_database(
    services: Container, door: Door
) -> None:
    key = await alices_key(services)
    for _ in range(UNKNOWN_KEYS_PER_MINUTE_MAX):
        with pytest.raises(Unauthenticated):
            await door.admit(written_key(KeyParts(new_key_id(), new_secret())))

    with pytest.raises(AddressThrottled):
        await door.admit(written_key(KeyParts(new_key_id(), new_secret())))
    assert (await door.admit(key.api_key, "192.0.2.2")).username == "alice"
    door.timer.seconds = 60
    assert (await door.admit(key.api_key)).username == "alice"

    assert "api_key.refused" not in "".join(await audited(services))


async def test_no_more_keys_are_remembered_than_the_bound(services: Container, door: Door) -> None:
    alice = await person(services, "alice")
    guard = door.guard
    guard._known = type(guard._known)(2, STALE_SECONDS_MAX, door.timer)
    keys = [await api_key(services, alice) for _ in range(3)]

    for key in keys:
        await door.admit(key.api_key)

    assert len(guard._known) == 2
    assert services.guards.keys._known.maxsize == api_key_guard.KEYS_MAX
