"""A pair refused soon after the switch gives way to the one before it, and nothing else does."""

import pytest

from backend.app.container import Container
from backend.app.enums import NotificationKind
from backend.app.errors import (
    ExchangeUnreachable,
)
from backend.app.exchanges.reasons import Reason
from backend.app.masking import mask_api_key
from backend.app.schemas.credential_schemas import Credential, CredentialUpdate
from backend.app.services.rotation_rows import ROLLS_BACK_FOR
from backend.app.services.rotation_upkeep_service import ROLL_BACKS_APART
from backend.tests.conftest import HandClock
from backend.tests.support.fake_connector import refused
from backend.tests.support.people import Person
from backend.tests.support.rotations import (
    OLD,
    TwoFacedConnector,
    audited,
    keys_of,
    masked,
    new_pair,
    open_deks,
    pair,
    rotate,
    told,
    verify,
)


@pytest.mark.parametrize("reason", [Reason.INVALID_KEY, Reason.BAD_SIGNATURE, Reason.KEY_EXPIRED])
async def test_a_pair_refused_as_such_soon_after_the_switch_gives_way_to_the_old_one(
    services: Container,
    alice: Person,
    stored: Credential,
    connector: TwoFacedConnector,
    clock: HandClock,
    reason: Reason,
) -> None:
    asked = new_pair()
    await rotate(services, alice, stored, asked)
    clock.moment += ROLLS_BACK_FOR
    connector.of_key[asked.api_key] = refused(reason)
    await verify(services, alice, stored)

    await services.rotation_upkeep.roll_back_due()
    await services.rotation_upkeep.roll_back_due()

    assert await keys_of(services, alice, stored) == [masked(OLD), None, masked(asked)]
    assert (await told(services, alice))[0] is NotificationKind.KEY_ROLLED_BACK
    (event,) = await audited(services, "credential.rolled_back")
    assert event["actor"] == {"type": "system"}
    assert await open_deks(services) == 2


@pytest.mark.parametrize(
    "reason",
    [
        Reason.IP_NOT_ALLOWED,
        Reason.PERMISSION_MISSING,
        Reason.ACCOUNT_RESTRICTED,
    ],
)
async def test_what_says_nothing_against_the_key_itself_rolls_nothing_back(
    services: Container,
    alice: Person,
    stored: Credential,
    connector: TwoFacedConnector,
    reason: Reason,
) -> None:
    asked = new_pair()
    await rotate(services, alice, stored, asked)
    connector.of_key[asked.api_key] = refused(reason)
    await verify(services, alice, stored)

    await services.rotation_upkeep.roll_back_due()

    assert await keys_of(services, alice, stored) == [masked(asked), None, masked(OLD)]


async def test_an_outage_after_the_switch_rolls_nothing_back(
    services: Container, alice: Person, stored: Credential, connector: TwoFacedConnector
) -> None:
    asked = new_pair()
    await rotate(services, alice, stored, asked)
    connector.of_key[asked.api_key] = refused(Reason.EXCHANGE_UNAVAILABLE)
    with pytest.raises(ExchangeUnreachable):
        await verify(services, alice, stored)

    await services.rotation_upkeep.roll_back_due()

    assert await keys_of(services, alice, stored) == [masked(asked), None, masked(OLD)]


async def test_a_refusal_after_the_window_rolls_nothing_back(
    services: Container,
    alice: Person,
    stored: Credential,
    connector: TwoFacedConnector,
    clock: HandClock,
) -> None:
    asked = new_pair()
    await rotate(services, alice, stored, asked)
    clock.moment += ROLLS_BACK_FOR
    clock.advance(seconds=1)
    connector.of_key[asked.api_key] = refused(Reason.INVALID_KEY)
    await verify(services, alice, stored)

    await services.rotation_upkeep.roll_back_due()

    assert await keys_of(services, alice, stored) == [masked(asked), None, masked(OLD)]


async def test_a_pair_put_in_by_hand_after_the_switch_is_not_rolled_back(
    services: Container, alice: Person, stored: Credential, connector: TwoFacedConnector
) -> None:
    await rotate(services, alice, stored)
    by_hand = pair()
    await services.credentials.update(
        alice.user_id, stored.id, CredentialUpdate(**by_hand), alice.caller
    )
    connector.of_key[by_hand["api_key"]] = refused(Reason.INVALID_KEY)
    await verify(services, alice, stored)

    await services.rotation_upkeep.roll_back_due()

    assert (await keys_of(services, alice, stored))[0] == mask_api_key(by_hand["api_key"])


async def test_a_previous_pair_that_is_refused_too_does_not_come_back_by_itself(
    services: Container,
    alice: Person,
    stored: Credential,
    connector: TwoFacedConnector,
    clock: HandClock,
) -> None:
    asked = new_pair()
    await rotate(services, alice, stored, asked)
    connector.says = refused(Reason.INVALID_KEY)
    await verify(services, alice, stored)

    await services.rotation_upkeep.roll_back_due()
    clock.moment += ROLL_BACKS_APART
    asked_before = len(connector.asked)
    await services.rotation_upkeep.roll_back_due()

    assert len(connector.asked) == asked_before
    found = await services.rotations.show(alice.user_id, stored.id)
    assert found.current.api_key_masked == masked(asked)
    assert found.previous is not None
    assert found.previous.rolls_back_until is None


async def test_a_roll_back_waits_for_an_exchange_that_is_away_and_does_not_press_it(
    services: Container,
    alice: Person,
    stored: Credential,
    connector: TwoFacedConnector,
    clock: HandClock,
) -> None:
    asked = new_pair()
    await rotate(services, alice, stored, asked)
    connector.of_key[asked.api_key] = refused(Reason.INVALID_KEY)
    await verify(services, alice, stored)
    connector.of_key[OLD.api_key] = refused(Reason.EXCHANGE_UNAVAILABLE)
    await services.rotation_upkeep.roll_back_due()
    asked_before = len(connector.asked)
    await services.rotation_upkeep.roll_back_due()
    assert len(connector.asked) == asked_before
    connector.of_key.pop(OLD.api_key)
    clock.moment += ROLL_BACKS_APART

    await services.rotation_upkeep.roll_back_due()

    assert await keys_of(services, alice, stored) == [masked(OLD), None, masked(asked)]
