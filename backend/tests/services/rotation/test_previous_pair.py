"""The pair that was in use is kept for a day, and can come back."""

import pytest

from backend.app.container import Container
from backend.app.enums import NotificationKind
from backend.app.errors import (
    CredentialRefused,
    KeyCanWithdraw,
    KeyVersionNotFound,
    RotationRightsSmaller,
)
from backend.app.exchanges.reasons import Reason
from backend.app.schemas.credential_schemas import Credential, CredentialCreate
from backend.app.services.rotation_rows import VERSION_KEPT_FOR
from backend.tests.conftest import HandClock
from backend.tests.support.fake_connector import refused
from backend.tests.support.people import Person
from backend.tests.support.rotations import (
    OLD,
    READER,
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
    rotate,
    rows,
    says,
    told,
    verify,
)


async def test_the_previous_pair_is_restored_only_if_it_still_works(
    services: Container, alice: Person, stored: Credential, connector: TwoFacedConnector
) -> None:
    asked = new_pair()
    await rotate(services, alice, stored, asked)
    connector.of_key[OLD.api_key] = refused(Reason.INVALID_KEY)
    with pytest.raises(CredentialRefused):
        await restore(services, alice, stored)
    assert await keys_of(services, alice, stored) == [masked(asked), None, masked(OLD)]
    connector.of_key.clear()

    restored = await restore(services, alice, stored)
    await verify(services, alice, stored)

    assert await keys_of(services, alice, stored) == [masked(OLD), None, masked(asked)]
    assert connector.asked[-1][1:3] == (OLD.api_key, OLD.api_secret.get_secret_value())
    assert restored.previous is not None
    assert restored.previous.rolls_back_until is None
    assert (await told(services, alice))[0] is NotificationKind.KEY_RESTORED
    assert len(await audited(services, "credential.restored")) == 1
    assert await open_deks(services) == 2


async def test_a_pair_that_was_allowed_to_withdraw_may_come_back(
    services: Container, alice: Person, connector: TwoFacedConnector
) -> None:
    connector.says = says(WITHDRAWER)
    old = CredentialCreate(exchange_name="binance", allow_withdrawal=True, **pair())
    stored = await services.credentials.create(alice.user_id, old, alice.caller)
    connector.says = says(TRADER)
    await rotate(services, alice, stored, new_pair(accept_smaller_rights=True))
    connector.says = says(WITHDRAWER)

    assert (await restore(services, alice, stored)).current.api_key_masked == masked(old)


async def test_a_pair_that_may_withdraw_only_since_it_was_replaced_stays_away(
    services: Container, alice: Person, stored: Credential, connector: TwoFacedConnector
) -> None:
    await rotate(services, alice, stored)
    connector.says = says(WITHDRAWER)

    with pytest.raises(KeyCanWithdraw):
        await restore(services, alice, stored)


async def test_what_is_kept_goes_after_a_day_and_says_so(
    services: Container,
    alice: Person,
    stored: Credential,
    connector: TwoFacedConnector,
    clock: HandClock,
) -> None:
    await rotate(services, alice, stored)
    connector.says = says(READER)
    with pytest.raises(RotationRightsSmaller):
        await rotate(services, alice, stored)
    clock.moment += VERSION_KEPT_FOR
    with pytest.raises(KeyVersionNotFound):
        await restore(services, alice, stored)
    assert await open_deks(services) == 3

    await services.rotation_upkeep.expire_due()

    assert await open_deks(services) == 1
    assert await rows(services, "SELECT 1 FROM credential_key_versions") == []
    assert (await told(services, alice))[:2] == [NotificationKind.KEY_VERSION_EXPIRED] * 2
    events = await audited(services, "credential.rotation_expired")
    assert sorted(event["field"] for event in events) == ["pending", "previous"]


async def test_nothing_goes_before_its_time(
    services: Container, alice: Person, stored: Credential, clock: HandClock
) -> None:
    await rotate(services, alice, stored)
    clock.moment += VERSION_KEPT_FOR
    clock.advance(seconds=-1)

    await services.rotation_upkeep.expire_due()

    assert (await restore(services, alice, stored)).current.api_key_masked == masked(OLD)


async def test_an_expired_pair_nobody_has_swept_is_in_nobodys_way(
    services: Container,
    alice: Person,
    stored: Credential,
    connector: TwoFacedConnector,
    clock: HandClock,
) -> None:
    connector.says = says(READER)
    with pytest.raises(RotationRightsSmaller):
        await rotate(services, alice, stored)
    clock.moment += VERSION_KEPT_FOR
    connector.says = says(TRADER)

    await rotate(services, alice, stored)

    assert await open_deks(services) == 2
