"""Rotations amid other changes, and rotations that fail half way."""

import asyncio

import pytest

from backend.app.container import Container
from backend.app.errors import (
    CredentialChanged,
    CredentialExists,
    DatabaseUnavailable,
    ExchangeUnreachable,
    RotationPending,
    VaultUnavailable,
)
from backend.app.exchanges.reasons import Reason
from backend.app.schemas.credential_schemas import Credential, CredentialCreate, CredentialUpdate
from backend.app.schemas.rotation_schemas import Rotation
from backend.tests.support.fake_connector import refused
from backend.tests.support.people import Person
from backend.tests.support.rotations import (
    OLD,
    TRADER,
    TwoFacedConnector,
    keys_of,
    masked,
    new_pair,
    open_deks,
    pair,
    resume,
    rotate,
    rows,
    run,
    says,
    verify,
)


async def test_of_two_rotations_at_once_one_is_pending_or_done_and_the_other_is_refused(
    services: Container, alice: Person, stored: Credential
) -> None:
    answers = await asyncio.gather(
        *(rotate(services, alice, stored) for _ in range(4)), return_exceptions=True
    )

    done = [answer for answer in answers if isinstance(answer, Rotation)]
    refusals = [answer for answer in answers if not isinstance(answer, Rotation)]
    assert len(done) >= 1
    assert all(isinstance(each, RotationPending | CredentialChanged) for each in refusals)
    found = await services.rotations.show(alice.user_id, stored.id)
    assert found.pending is None
    assert await open_deks(services) == 2


async def test_a_pending_pair_is_put_into_use_once(
    services: Container, alice: Person, stored: Credential, connector: TwoFacedConnector
) -> None:
    asked = new_pair()
    connector.says = refused(Reason.EXCHANGE_UNAVAILABLE)
    with pytest.raises(ExchangeUnreachable):
        await rotate(services, alice, stored, asked)
    connector.says = says(TRADER)
    connector.meanwhile = lambda: resume(services, alice, stored)

    with pytest.raises(CredentialChanged):
        await resume(services, alice, stored)

    assert await keys_of(services, alice, stored) == [masked(asked), None, masked(OLD)]
    assert await open_deks(services) == 2


async def test_a_check_of_the_old_pair_says_nothing_of_the_new_one(
    services: Container, alice: Person, stored: Credential, connector: TwoFacedConnector
) -> None:
    asked = new_pair()
    connector.of_key[OLD.api_key] = refused(Reason.INVALID_KEY)
    connector.meanwhile = lambda: rotate(services, alice, stored, asked)

    with pytest.raises(CredentialChanged):
        await verify(services, alice, stored)

    (row,) = await rows(services, "SELECT invalid_verdicts, api_key FROM api_credentials")
    assert tuple(row) == (0, asked.api_key)


@pytest.mark.parametrize("what", ["delete", "update"])
async def test_a_credential_changed_while_the_exchange_answers_is_not_rotated(
    services: Container,
    alice: Person,
    stored: Credential,
    connector: TwoFacedConnector,
    what: str,
) -> None:
    async def meanwhile() -> None:
        if what == "delete":
            await services.credentials.delete(alice.user_id, stored.id, alice.caller)
        else:
            asked = CredentialUpdate(**pair(), verify=False)
            await services.credentials.update(alice.user_id, stored.id, asked, alice.caller)

    connector.meanwhile = meanwhile

    with pytest.raises(CredentialChanged):
        await rotate(services, alice, stored)

    assert await open_deks(services) == (0 if what == "delete" else 2)


async def test_a_key_bound_elsewhere_by_its_owner_is_not_rotated_to(
    services: Container, alice: Person, stored: Credential, connector: TwoFacedConnector
) -> None:
    asked = new_pair()
    again = CredentialCreate(
        exchange_name="binance", api_key=asked.api_key, api_secret=asked.api_secret
    )
    connector.meanwhile = lambda: services.credentials.create(alice.user_id, again, alice.caller)

    with pytest.raises(CredentialExists):
        await rotate(services, alice, stored, asked)
    assert (await keys_of(services, alice, stored))[0] == masked(OLD)
    await services.rotations.drop(alice.user_id, stored.id, alice.caller)
    connector.asked.clear()
    with pytest.raises(CredentialExists):
        await rotate(services, alice, stored, asked)

    assert connector.asked == []


async def test_a_switch_that_fails_half_way_leaves_the_old_pair_in_use(
    services: Container, alice: Person, stored: Credential, connector: TwoFacedConnector
) -> None:
    asked = new_pair()

    async def retire_root_key() -> None:
        await run(services, "UPDATE keks SET state = 'retired'")

    connector.meanwhile = retire_root_key
    with pytest.raises(VaultUnavailable):
        await rotate(services, alice, stored, asked)
    assert await keys_of(services, alice, stored) == [masked(OLD), masked(asked), None]
    await verify(services, alice, stored)
    assert connector.asked[-1][1] == OLD.api_key
    await run(services, "UPDATE keks SET state = 'active'")

    await resume(services, alice, stored)

    assert await keys_of(services, alice, stored) == [masked(asked), None, masked(OLD)]


async def test_a_switch_whose_connection_dies_leaves_the_old_pair_in_use(
    services: Container, alice: Person, stored: Credential, connector: TwoFacedConnector
) -> None:
    asked = new_pair()

    async def break_inserts() -> None:
        await run(
            services,
            "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$",
        )
        await run(
            services,
            "CREATE CONSTRAINT TRIGGER die AFTER UPDATE ON api_credentials "
            "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()",
        )

    connector.meanwhile = break_inserts

    with pytest.raises(DatabaseUnavailable):
        await rotate(services, alice, stored, asked)

    await run(services, "DROP TRIGGER die ON api_credentials")
    assert await keys_of(services, alice, stored) == [masked(OLD), masked(asked), None]
    await resume(services, alice, stored)
    assert await keys_of(services, alice, stored) == [masked(asked), None, masked(OLD)]
