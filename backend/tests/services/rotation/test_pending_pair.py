"""A pair that is not in use yet waits, with what is missing, until it is tried again or dropped."""

from dataclasses import replace

import pytest

from backend.app.container import Container
from backend.app.enums import Known
from backend.app.errors import (
    ExchangeThrottled,
    ExchangeUnreachable,
    KeyVersionNotFound,
    RotationPending,
    RotationRightsSmaller,
)
from backend.app.exchanges.reasons import Reason
from backend.app.schemas.credential_schemas import Credential
from backend.tests.support.fake_connector import refused
from backend.tests.support.people import Person
from backend.tests.support.rotations import (
    OLD,
    READER,
    TRADER,
    TwoFacedConnector,
    keys_of,
    masked,
    new_pair,
    open_deks,
    resume,
    rotate,
    says,
)


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (Reason.EXCHANGE_UNAVAILABLE, ExchangeUnreachable),
        (Reason.RATE_LIMITED, ExchangeThrottled),
    ],
)
async def test_without_a_verdict_the_pair_stays_pending_and_can_be_tried_again(
    services: Container,
    alice: Person,
    stored: Credential,
    connector: TwoFacedConnector,
    reason: Reason,
    error: type[Exception],
) -> None:
    asked = new_pair()
    connector.says = refused(reason)
    with pytest.raises(error):
        await rotate(services, alice, stored, asked)
    assert await keys_of(services, alice, stored) == [masked(OLD), masked(asked), None]
    connector.says = says(TRADER)

    await resume(services, alice, stored)

    assert await keys_of(services, alice, stored) == [masked(asked), None, masked(OLD)]
    assert connector.asked[-1][1:3] == (asked.api_key, asked.api_secret.get_secret_value())
    assert await open_deks(services) == 2


@pytest.mark.parametrize("now", [Known.NO, Known.UNKNOWN])
async def test_smaller_rights_are_named_and_the_pair_waits_until_they_are_accepted(
    services: Container,
    alice: Person,
    stored: Credential,
    connector: TwoFacedConnector,
    now: Known,
) -> None:
    asked = new_pair()
    connector.says = says(replace(READER, can_trade=now))

    with pytest.raises(RotationRightsSmaller) as refusal:
        await rotate(services, alice, stored, asked)
    assert refusal.value.facts["missing"] == [{"right": "can_trade", "was": "yes", "now": now}]
    assert await keys_of(services, alice, stored) == [masked(OLD), masked(asked), None]
    with pytest.raises(RotationRightsSmaller):
        await resume(services, alice, stored)

    await resume(services, alice, stored, accept_smaller_rights=True)

    assert await keys_of(services, alice, stored) == [masked(asked), None, masked(OLD)]


async def test_rights_mended_at_the_exchange_are_enough(
    services: Container, alice: Person, stored: Credential, connector: TwoFacedConnector
) -> None:
    connector.says = says(READER)
    with pytest.raises(RotationRightsSmaller):
        await rotate(services, alice, stored)
    connector.says = says(TRADER)

    assert (await resume(services, alice, stored)).pending is None


async def test_a_pending_pair_can_be_dropped_and_leaves_nothing_that_opens(
    services: Container, alice: Person, stored: Credential, connector: TwoFacedConnector
) -> None:
    connector.says = says(READER)
    with pytest.raises(RotationRightsSmaller):
        await rotate(services, alice, stored)
    with pytest.raises(RotationPending):
        await rotate(services, alice, stored)

    await services.rotations.drop(alice.user_id, stored.id, alice.caller)

    assert await keys_of(services, alice, stored) == [masked(OLD), None, None]
    assert await open_deks(services) == 1
    with pytest.raises(KeyVersionNotFound):
        await services.rotations.drop(alice.user_id, stored.id, alice.caller)
    with pytest.raises(KeyVersionNotFound):
        await resume(services, alice, stored)
