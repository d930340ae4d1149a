"""What a rotation leaves behind: seals, data keys, the trail, and no secret."""

import pytest

from backend.app.container import Container
from backend.app.enums import Role
from backend.app.errors import (
    CredentialUnreadable,
    RotationRightsSmaller,
)
from backend.app.repositories.sealed_field_repository import SealedFieldRepository
from backend.app.schemas.credential_schemas import Credential
from backend.app.services.audit_verification import AuditVerification
from backend.app.services.principal import Principal
from backend.tests.support.leaks import found_in
from backend.tests.support.people import Person, person
from backend.tests.support.rotations import (
    OLD,
    READER,
    TwoFacedConnector,
    new_pair,
    open_deks,
    restore,
    resume,
    rotate,
    rows,
    run,
    says,
    verify,
)


async def test_deleting_a_credential_destroys_what_opens_every_pair_of_it(
    services: Container, alice: Person, stored: Credential, connector: TwoFacedConnector
) -> None:
    await rotate(services, alice, stored)
    connector.says = says(READER)
    with pytest.raises(RotationRightsSmaller):
        await rotate(services, alice, stored)
    assert await open_deks(services) == 3

    await services.credentials.delete(alice.user_id, stored.id, alice.caller)

    assert await open_deks(services) == 0
    assert await rows(services, "SELECT 1 FROM credential_key_versions") == []


async def test_deleting_a_user_destroys_what_opens_every_pair(
    services: Container, alice: Person, stored: Credential
) -> None:
    await rotate(services, alice, stored)
    root = await person(services, "root2", Role.ADMIN)
    principal = Principal(root.user_id, root.username, Role.ADMIN, root.session_id)

    await services.users.delete(principal, alice.user_id)

    assert await open_deks(services) == 0
    assert await rows(services, "SELECT 1 FROM credential_key_versions") == []


async def test_every_write_of_a_rotation_is_told_by_the_trail(
    services: Container, alice: Person, stored: Credential, connector: TwoFacedConnector
) -> None:
    connector.says = says(READER)
    with pytest.raises(RotationRightsSmaller):
        await rotate(services, alice, stored)
    await resume(services, alice, stored, accept_smaller_rights=True)
    await restore(services, alice, stored)

    verifier = services._crypto.anchor_key().verifier
    proof = await AuditVerification(services.database, verifier, deep=True).run()

    assert (proof.finding, proof.credentials) == (None, 1)


async def test_every_data_key_in_use_is_found_with_what_it_seals(
    services: Container, alice: Person, stored: Credential, connector: TwoFacedConnector
) -> None:
    await rotate(services, alice, stored)
    found = await rows(services, "SELECT dek_id FROM deks WHERE wrapped IS NOT NULL")
    deks = [dek_id for (dek_id,) in found]

    async with services.database.snapshot() as session:
        sealed = await SealedFieldRepository(session).under(deks)

    tables = {field.table for field in sealed}
    assert tables == {"api_credentials", "credential_key_versions"}
    assert len({field.dek_id for field in sealed}) == await open_deks(services)


async def test_a_pair_copied_to_the_other_table_opens_nothing(
    services: Container, alice: Person, stored: Credential
) -> None:
    await rotate(services, alice, stored)
    await run(
        services,
        "UPDATE api_credentials c SET encrypted_api_secret = v.encrypted_api_secret, "
        "dek_id = v.dek_id, rev = v.rev FROM credential_key_versions v",
    )

    with pytest.raises(CredentialUnreadable):
        await verify(services, alice, stored)


async def test_no_secret_is_readable_in_any_table(
    services: Container, alice: Person, stored: Credential, connector: TwoFacedConnector
) -> None:
    first, second = new_pair(), new_pair()
    await rotate(services, alice, stored, first)
    connector.says = says(READER)
    with pytest.raises(RotationRightsSmaller):
        await rotate(services, alice, stored, second)

    places = {
        table: repr(await rows(services, f"SELECT t::text FROM {table} t")).encode()
        for table in (
            "credential_key_versions",
            "api_credentials",
            "notification_events",
            "audit_events",
        )
    }
    secret = {
        name: asked.api_secret.get_secret_value().encode()
        for name, asked in {"old": OLD, "first": first, "second": second}.items()
    }

    assert len(places["credential_key_versions"]) > 500
    assert found_in(places, secret) == []
