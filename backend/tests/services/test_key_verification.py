"""What does not open is found by opening it, and named."""

from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text

from backend.app.audit_record import SYSTEM
from backend.app.container import Container
from backend.app.enums import Role
from backend.app.schemas.key_schemas import Verified
from backend.app.services.key_sources import build_key_ring
from backend.app.services.key_verification import KeyVerification
from backend.tests.support.fake_connector import FakeConnector
from backend.tests.support.people import Person, person
from backend.tests.support.vault_keys import now

PAIR = {
    "exchange_name": "okx",
    "api_key": "the-api-key",
    "api_secret": "s3cr3t-value",
    "passphrase": "pass phrase",
    "verify": False,
}


@pytest.fixture
def connector() -> FakeConnector:
    return FakeConnector()


@pytest.fixture
async def alice(client: AsyncClient, services: Container) -> Person:
    alice = await person(services, "alice")
    made = await client.post("/api/v1/credentials", json=PAIR, headers=alice.headers)
    assert made.status_code == 201, made.text
    signing = {"name": "bot", "scopes": ["read"], "signing": "hmac"}
    made = await client.post("/api/v1/api-keys", json=signing, headers=alice.headers)
    assert made.status_code == 201, made.text
    return alice


async def verified(services: Container, *, deep: bool) -> Verified:
    ring = build_key_ring(services.settings.vault)
    return await KeyVerification(services.database, ring, now).run(SYSTEM, deep=deep)


async def change(services: Container, statement: str, **values: Any) -> None:
    async with services.database.transaction() as session:
        await session.execute(text(statement), values)


async def test_everything_that_is_sealed_opens(services: Container, alice: Person) -> None:
    shallow = await verified(services, deep=False)
    deep = await verified(services, deep=True)

    assert (shallow.data_keys, shallow.fields, shallow.unopened) == (3, 0, [])
    assert (deep.data_keys, deep.fields, deep.unopened) == (3, 3, [])


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (
            "UPDATE api_credentials SET encrypted_api_secret = encrypted_passphrase",
            "encrypted_api_secret of api_credentials",
        ),
        ("UPDATE api_credentials SET rev = 2", "encrypted_passphrase of api_credentials"),
        (
            "UPDATE api_keys SET sealed_signing_secret = 'sr1.damaged'",
            "sealed_signing_secret of api_keys",
        ),
    ],
)
async def test_a_field_that_does_not_open_is_named(
    services: Container, alice: Person, damage: str, named: str
) -> None:
    await change(services, damage)

    assert (await verified(services, deep=False)).unopened == []
    found = (await verified(services, deep=True)).unopened
    assert any(one.what.startswith(named) for one in found)
    assert {one.owner_id for one in found} == {alice.user_id}


async def test_a_data_key_that_does_not_open_is_named(services: Container, alice: Person) -> None:
    await change(
        services,
        "UPDATE deks SET owner_id = owner_id + 1 WHERE credential_id IS NOT NULL",
    )

    found = (await verified(services, deep=False)).unopened

    assert [one.what for one in found] == ["credential 1"]


async def test_an_administrator_sees_how_far_a_rotation_is_and_nobody_else_does(
    client: AsyncClient, services: Container, alice: Person
) -> None:
    root = await person(services, "root", Role.ADMIN)

    seen = await client.get("/api/v1/admin/keys/rotation", headers=root.headers)
    refused = await client.get("/api/v1/admin/keys/rotation", headers=alice.headers)

    assert seen.status_code == 200
    assert seen.json() == {
        "from_kid": None,
        "to_kid": None,
        "state": None,
        "total": 0,
        "done": 0,
        "failed": 0,
        "rate_per_s": None,
        "eta_s": None,
    }
    assert refused.status_code == 403
