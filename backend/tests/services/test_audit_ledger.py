"""Credentials against the trail: exchanged, set back, slipped in and vanished rows are found."""

from typing import Any

import pytest
from sqlalchemy import text

from backend.app.audit_chain import GENESIS
from backend.app.audit_record import SYSTEM, Act, AuditObject, AuditRecord, Outcome
from backend.app.container import Container
from backend.app.enums import Role
from backend.app.schemas.credential_schemas import CredentialCreate, CredentialUpdate
from backend.app.services.audit_ledger import CredentialLedger
from backend.app.services.audit_verification import AuditVerification, Proof
from backend.tests.support.people import Person, person
from backend.tests.support.trail import AT


def pair(n: int) -> dict[str, Any]:
    return {
        "exchange_name": "binance",
        "api_key": f"ledger-key-{n:053d}",
        "api_secret": f"ledger-secret-{n:050d}",
        "verify": False,
    }


@pytest.fixture
async def alice(services: Container) -> Person:
    return await person(services, "alice")


async def bound(services: Container, owner: Person, n: int) -> int:
    asked = CredentialCreate.model_validate(pair(n))
    return (await services.credentials.create(owner.user_id, asked, owner.caller)).id


async def replaced(services: Container, owner: Person, credential: int, n: int) -> None:
    asked = CredentialUpdate.model_validate(
        {name: value for name, value in pair(n).items() if name != "exchange_name"}
    )
    await services.credentials.update(owner.user_id, credential, asked, owner.caller)


async def proof(services: Container) -> Proof:
    verifier = services._crypto.anchor_key().verifier
    return await AuditVerification(services.database, verifier, deep=True).run()


async def done(services: Container, *statements: str) -> None:
    async with services.database.transaction() as session:
        for statement in statements:
            await session.execute(text(statement))


async def told(services: Container) -> str:
    return str((await proof(services)).finding)


async def test_what_the_house_did_itself_is_proved(services: Container, alice: Person) -> None:
    first, second = await bound(services, alice, 1), await bound(services, alice, 2)
    await replaced(services, alice, first, 3)
    await services.credentials.update(
        alice.user_id, first, CredentialUpdate.model_validate({"label": "new"}), alice.caller
    )
    await services.credentials.delete(alice.user_id, second, alice.caller)

    found = await proof(services)

    assert (found.finding, found.credentials) == (None, 1)
    assert found.events > GENESIS.seq


async def test_a_deleted_user_takes_the_credentials_along(
    services: Container, alice: Person
) -> None:
    admin = await person(services, "root", Role.ADMIN)
    await bound(services, alice, 1)
    principal = await services.guards.sessions.admit(
        admin.headers["Authorization"], request_id=None, address=None
    )
    await services.users.delete(principal, alice.user_id)

    assert (await proof(services)).finding is None


async def test_swapped_rows_are_found(services: Container, alice: Person) -> None:
    first, second = await bound(services, alice, 1), await bound(services, alice, 2)
    await done(
        services,
        "UPDATE api_credentials a SET encrypted_api_secret = b.encrypted_api_secret "
        f"FROM api_credentials b WHERE (a.id, b.id) IN (({first}, {second}), ({second}, {first}))",
    )

    assert f"credential {first} holds another secret" in await told(services)


async def test_a_rolled_back_row_is_found(services: Container, alice: Person) -> None:
    credential = await bound(services, alice, 1)
    await done(services, "CREATE TABLE earlier AS SELECT * FROM api_credentials")
    await replaced(services, alice, credential, 2)
    await done(
        services,
        "UPDATE api_credentials c SET rev = e.rev, dek_id = e.dek_id, "
        "encrypted_api_secret = e.encrypted_api_secret FROM earlier e WHERE e.id = c.id",
    )

    assert "was rolled back: stored is revision 1, written 2" in await told(services)


async def test_a_changed_revision_is_found(services: Container, alice: Person) -> None:
    await bound(services, alice, 1)
    await done(services, "UPDATE api_credentials SET rev = 7")

    assert "says revision 7, but revision 1" in await told(services)


async def test_a_row_handed_to_somebody_else_is_found(services: Container, alice: Person) -> None:
    mallory = await person(services, "mallory")
    await bound(services, alice, 1)
    await done(services, f"UPDATE api_credentials SET user_id = {mallory.user_id}")

    assert f"belongs to user {mallory.user_id}" in await told(services)


async def test_an_unrecorded_row_is_found(services: Container, alice: Person) -> None:
    await bound(services, alice, 1)
    columns = (
        "user_id, exchange_name, environment, api_key, encrypted_api_secret, dek_id, "
        "rev, key_fingerprint"
    )
    await done(
        services,
        f"INSERT INTO api_credentials ({columns}) "
        f"SELECT {columns.replace('api_key,', chr(39) + 'slipped in' + chr(39) + ',')} "
        "FROM api_credentials",
    )

    assert "is stored, but no event tells of it" in await told(services)


async def test_a_row_that_came_back_after_its_deletion_is_found(
    services: Container, alice: Person
) -> None:
    credential = await bound(services, alice, 1)
    await done(services, "CREATE TABLE earlier AS SELECT * FROM api_credentials")
    await services.credentials.delete(alice.user_id, credential, alice.caller)
    await done(services, "INSERT INTO api_credentials SELECT * FROM earlier")

    assert "is stored, but was deleted here" in await told(services)


async def test_a_vanished_row_is_found_at_its_last_record(
    services: Container, alice: Person
) -> None:
    credential = await bound(services, alice, 1)
    await done(services, "DELETE FROM api_credentials")

    assert f"credential {credential} was written here, but is not stored" in await told(services)


async def test_anothers_data_key_is_found(services: Container, alice: Person) -> None:
    first, second = await bound(services, alice, 1), await bound(services, alice, 2)
    await done(
        services,
        "UPDATE api_credentials SET dek_id = "
        f"(SELECT dek_id FROM api_credentials WHERE id = {first}) WHERE id = {second}",
    )

    assert f"credential {second} has another's data key" in await told(services)


@pytest.mark.parametrize(
    ("act", "is_current"),
    [(Act.ROTATION_STARTED, False), (Act.CREDENTIAL_ROTATED, True), (Act.CREDENTIAL_UPDATED, True)],
)
def test_a_pair_that_waits_beside_is_not_what_the_row_must_hold(act: Act, is_current: bool) -> None:
    ledger = CredentialLedger()
    for seq, (what, ct) in enumerate([(Act.CREDENTIAL_CREATED, "a1"), (act, "b2")], start=1):
        record = AuditRecord(
            act=what,
            outcome=Outcome.DONE,
            caller=SYSTEM,
            at=AT,
            object=AuditObject("credential", 42, 7),
            rev=seq,
            ct=ct,
        )
        ledger.note([(seq, AT, record.payload(), bytes(32))])

    ((seq, _),) = ledger.vanished()

    assert seq == (2 if is_current else 1)
