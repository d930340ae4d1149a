"""A rotation, step by step: the pair is tried, put into use, or waits."""

import json
from dataclasses import replace

import pytest
from pydantic import SecretStr

from backend.app.container import Container
from backend.app.enums import KeyState, NotificationKind
from backend.app.errors import (
    CredentialNotFound,
    CredentialOfOtherEnvironment,
    CredentialRefused,
    ExchangeUnreachable,
    KeyCanWithdraw,
    Unprocessable,
)
from backend.app.exchanges.reasons import Reason
from backend.app.schemas.credential_schemas import Credential, CredentialCreate
from backend.app.services.rotation_rows import ROLLS_BACK_FOR, VERSION_KEPT_FOR
from backend.tests.conftest import HandClock
from backend.tests.support.fake_connector import refused
from backend.tests.support.people import Person, person
from backend.tests.support.rotations import (
    OLD,
    TRADER,
    WITHDRAWER,
    TwoFacedConnector,
    audited,
    keys_of,
    masked,
    new_pair,
    open_deks,
    pair,
    restore,
    resume,
    rotate,
    run,
    says,
    told,
    verify,
)


async def test_a_pair_that_may_do_as_much_is_in_use_at_once_and_the_old_one_is_kept(
    services: Container,
    alice: Person,
    stored: Credential,
    connector: TwoFacedConnector,
    clock: HandClock,
) -> None:
    asked = new_pair()

    switched = await rotate(services, alice, stored, asked)
    await verify(services, alice, stored)

    assert switched.current.state is KeyState.CURRENT
    assert switched.previous is not None
    assert switched.previous.expires_at == clock() + VERSION_KEPT_FOR
    assert switched.previous.rolls_back_until == clock() + ROLLS_BACK_FOR
    assert await keys_of(services, alice, stored) == [masked(asked), None, masked(OLD)]
    assert connector.asked[-1][1:3] == (asked.api_key, asked.api_secret.get_secret_value())
    (listed,) = json.loads(await services.credentials.list_json(alice.user_id))
    assert listed["api_key_masked"] == masked(asked)
    assert await told(services, alice) == [NotificationKind.KEY_ROTATED]
    assert len(await audited(services, "credential.rotated")) == 1
    assert await open_deks(services) == 2


async def test_both_pairs_are_opened_on_the_record(
    services: Container, alice: Person, stored: Credential, connector: TwoFacedConnector
) -> None:
    connector.says = refused(Reason.EXCHANGE_UNAVAILABLE)
    with pytest.raises(ExchangeUnreachable):
        await rotate(services, alice, stored)
    connector.says = says(TRADER)

    await resume(services, alice, stored)

    used = [(e["purpose"], e.get("field")) for e in await audited(services, "credential.used")]
    assert used == [("rotate", "pending"), ("rotate", None)]


async def test_a_refused_pair_is_dropped_and_the_old_one_stays(
    services: Container, alice: Person, stored: Credential, connector: TwoFacedConnector
) -> None:
    connector.says = refused(Reason.BAD_SIGNATURE)

    with pytest.raises(CredentialRefused):
        await rotate(services, alice, stored)

    assert await keys_of(services, alice, stored) == [masked(OLD), None, None]
    assert await services.credentials.get(alice.user_id, stored.id) == stored
    assert await open_deks(services) == 1
    assert [e["reason"] for e in await audited(services, "credential.rotation_dropped")] == [
        "bad_signature"
    ]


async def test_a_pair_that_can_withdraw_is_dropped_unless_that_is_meant(
    services: Container, alice: Person, stored: Credential, connector: TwoFacedConnector
) -> None:
    connector.says = says(WITHDRAWER)

    with pytest.raises(KeyCanWithdraw):
        await rotate(services, alice, stored)
    assert await keys_of(services, alice, stored) == [masked(OLD), None, None]

    asked = new_pair(allow_withdrawal=True)
    await rotate(services, alice, stored, asked)

    assert await keys_of(services, alice, stored) == [masked(asked), None, masked(OLD)]
    (event,) = await audited(services, "credential.rotated")
    assert event["reason"] == "withdrawal-allowed"


async def test_a_second_rotation_replaces_the_previous_pair_for_good(
    services: Container, alice: Person, stored: Credential
) -> None:
    first, second = new_pair(), new_pair()
    await rotate(services, alice, stored, first)

    await rotate(services, alice, stored, second)

    assert await keys_of(services, alice, stored) == [masked(second), None, masked(first)]
    assert await open_deks(services) == 2


async def test_a_new_secret_of_the_same_key_is_a_rotation_too(
    services: Container, alice: Person, stored: Credential, connector: TwoFacedConnector
) -> None:
    asked = new_pair(api_key=OLD.api_key)

    await rotate(services, alice, stored, asked)
    await verify(services, alice, stored)

    assert connector.asked[-1][2] == asked.api_secret.get_secret_value()


async def test_passphrases_move_with_their_pairs(
    services: Container, alice: Person, connector: TwoFacedConnector
) -> None:
    old = CredentialCreate(exchange_name="okx", **pair(passphrase=SecretStr("one phrase")))
    stored = await services.credentials.create(alice.user_id, old, alice.caller)
    with pytest.raises(Unprocessable):
        await rotate(services, alice, stored)

    await rotate(services, alice, stored, new_pair(passphrase=SecretStr("another phrase")))
    assert connector.asked[-1][3] == "another phrase"
    await restore(services, alice, stored)

    assert connector.asked[-1][3] == "one phrase"


async def test_the_owner_is_told_when_the_new_key_is_of_another_account(
    services: Container, alice: Person, connector: TwoFacedConnector
) -> None:
    connector.says = says(replace(TRADER, owner_uid="77"))
    stored = await services.credentials.create(alice.user_id, OLD, alice.caller)
    connector.says = says(replace(TRADER, owner_uid="78"))

    await rotate(services, alice, stored)

    (event,) = (await services.notifications.page(alice.user_id, 200, None)).items
    assert event.facts["other_account"] is True


async def test_a_pair_the_house_switched_off_is_on_again_with_its_successor(
    services: Container,
    alice: Person,
    stored: Credential,
    connector: TwoFacedConnector,
    clock: HandClock,
) -> None:
    connector.of_key[OLD.api_key] = refused(Reason.INVALID_KEY)
    for _ in range(3):
        await verify(services, alice, stored)
        clock.advance(minutes=10)
    assert not (await services.credentials.get(alice.user_id, stored.id)).is_active

    await rotate(services, alice, stored)

    assert (await services.credentials.get(alice.user_id, stored.id)).is_active


async def test_a_key_of_the_other_environment_is_not_rotated(
    services: Container, alice: Person, stored: Credential, connector: TwoFacedConnector
) -> None:
    await run(services, "UPDATE api_credentials SET environment = 'live'")
    connector.asked.clear()

    with pytest.raises(CredentialOfOtherEnvironment):
        await rotate(services, alice, stored)

    assert connector.asked == []


async def test_anothers_credential_is_not_there(
    services: Container, alice: Person, stored: Credential
) -> None:
    bob = await person(services, "bob")

    for attempt in (
        rotate(services, bob, stored),
        resume(services, bob, stored),
        restore(services, bob, stored),
        services.rotations.drop(bob.user_id, stored.id, bob.caller),
        services.rotations.show(bob.user_id, stored.id),
    ):
        with pytest.raises(CredentialNotFound):
            await attempt
