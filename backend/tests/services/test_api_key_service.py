"""Making and revoking keys: bounded, shown once, and nothing of them in the database."""

import asyncio

import pytest
from sqlalchemy import text

from backend.app.container import Container
from backend.app.enums import Role
from backend.app.errors import ApiKeyNotFound, TooManyApiKeys
from backend.app.schemas.api_key_schemas import ApiKeyMade
from backend.app.services.api_key_service import KEYS_PER_USER_MAX
from backend.app.services.principal import Principal
from backend.tests.support.api_keys import api_key
from backend.tests.support.people import Person, audited, person


@pytest.fixture
async def alice(services: Container) -> Person:
    return await person(services, "alice")


def principal(somebody: Person, role: Role = Role.USER) -> Principal:
    return Principal(somebody.user_id, somebody.username, role, somebody.session_id)


async def dump(services: Container) -> str:
    """Return everything that is stored of keys, as a thief of the database reads it."""
    async with services.database.snapshot() as session:
        found = []
        for table in ("api_keys", "deks", "audit_events"):
            rows = await session.execute(text(f"SELECT t::text FROM {table} t"))
            found += rows.scalars().all()
        payloads = await session.execute(text("SELECT payload FROM audit_events"))
        return "\n".join([*found, *(bytes(row.payload).decode() for row in payloads)])


async def test_the_database_holds_nothing_a_key_could_be_made_from(
    services: Container, alice: Person
) -> None:
    key = await api_key(services, alice, signing="hmac")

    stored = await dump(services)

    assert key.signing_secret is not None
    secret = key.api_key[13:56]
    assert key.key_id in stored
    for hidden in (secret, key.signing_secret, key.signing_secret[4:]):
        assert hidden not in stored
        assert hidden.encode().hex() not in stored
    assert secret not in repr(key)
    assert key.signing_secret not in repr(key)


async def test_of_many_makers_at_once_none_gets_past_the_limit(
    services: Container, alice: Person
) -> None:
    made = await asyncio.gather(
        *(api_key(services, alice) for _ in range(KEYS_PER_USER_MAX + 5)), return_exceptions=True
    )

    assert sum(isinstance(each, ApiKeyMade) for each in made) == KEYS_PER_USER_MAX
    assert sum(isinstance(each, TooManyApiKeys) for each in made) == 5
    assert len(await services.api_keys.list_own(principal(alice))) == KEYS_PER_USER_MAX


async def test_a_revoked_key_makes_room_and_the_list_does_not_grow_for_ever(
    services: Container, alice: Person
) -> None:
    for _ in range(KEYS_PER_USER_MAX + 3):
        key = await api_key(services, alice)
        await services.api_keys.revoke(principal(alice), key.key_id)
    await api_key(services, alice)

    listed = await services.api_keys.list_own(principal(alice))
    assert len(listed) == KEYS_PER_USER_MAX + 1


async def test_another_users_key_cannot_be_revoked(services: Container, alice: Person) -> None:
    bob = await person(services, "bob")
    key = await api_key(services, bob)

    with pytest.raises(ApiKeyNotFound):
        await services.api_keys.revoke(principal(alice), key.key_id)

    (listed,) = await services.api_keys.list_own(principal(bob))
    assert listed.revoked_at is None


async def test_revoking_twice_finds_nothing_the_second_time(
    services: Container, alice: Person
) -> None:
    key = await api_key(services, alice)
    await services.api_keys.revoke(principal(alice), key.key_id)

    with pytest.raises(ApiKeyNotFound):
        await services.api_keys.revoke(principal(alice), key.key_id)

    written = "".join(await audited(services))
    assert written.count("api_key.created") == 1
    assert written.count("api_key.revoked") == 1


async def test_revoking_destroys_what_opens_the_signing_secret(
    services: Container, alice: Person
) -> None:
    key = await api_key(services, alice, signing="hmac")

    await services.api_keys.revoke(principal(alice), key.key_id)

    async with services.database.snapshot() as session:
        left = await session.scalar(
            text("SELECT count(*) FROM deks WHERE owner_id = :owner AND wrapped IS NOT NULL"),
            {"owner": alice.user_id},
        )
    assert left == 0


async def test_an_administrator_ends_all_keys_of_somebody(
    services: Container, alice: Person
) -> None:
    admin = await person(services, "admin", Role.ADMIN)
    own = await api_key(services, admin)
    for _ in range(3):
        await api_key(services, alice, signing="hmac")

    await services.api_keys.revoke_all_of(principal(admin, Role.ADMIN), alice.user_id)

    listed = await services.api_keys.list_of(principal(admin, Role.ADMIN), alice.user_id)
    assert len(listed) == 3
    assert all(key.revoked_at is not None for key in listed)
    (left,) = await services.api_keys.list_own(principal(admin))
    assert (left.key_id, left.revoked_at) == (own.key_id, None)
    assert "".join(await audited(services)).count("api_key.revoked") == 3
