"""Staged rotation on a real database, with an exchange that says what it is told to."""

import asyncio
import json
import secrets
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from backend.app.container import Container
from backend.app.enums import KeyState, Known, NotificationKind, Role
from backend.app.errors import (
    CredentialChanged,
    CredentialExists,
    CredentialNotFound,
    CredentialOfOtherEnvironment,
    CredentialRefused,
    CredentialUnreadable,
    DatabaseUnavailable,
    ExchangeThrottled,
    ExchangeUnreachable,
    KeyCanWithdraw,
    KeyVersionNotFound,
    RotationPending,
    RotationRightsSmaller,
    Unprocessable,
    VaultUnavailable,
)
from backend.app.exchanges.key_information import KeyInformation
from backend.app.exchanges.reasons import Reason
from backend.app.exchanges.verification import Verification
from backend.app.masking import mask_api_key
from backend.app.repositories.sealed_field_repository import SealedFieldRepository
from backend.app.schemas.credential_schemas import Credential, CredentialCreate, CredentialUpdate
from backend.app.schemas.rotation_schemas import Rotation, RotationStart, RotationTry
from backend.app.services.audit_verification import AuditVerification
from backend.app.services.principal import Principal
from backend.app.services.rotation_rows import ROLLS_BACK_FOR, VERSION_KEPT_FOR
from backend.app.services.rotation_upkeep_service import ROLL_BACKS_APART
from backend.tests.conftest import HandClock
from backend.tests.support.fake_connector import GOOD_KEY, FakeConnector, refused
from backend.tests.support.leaks import found_in
from backend.tests.support.people import Person, person

TRADER = KeyInformation(can_read=Known.YES, can_trade=Known.YES, can_withdraw=Known.NO)
READER = replace(TRADER, can_trade=Known.NO)
WITHDRAWER = replace(TRADER, can_withdraw=Known.YES)


def says(known: KeyInformation | None) -> Verification:
    return replace(GOOD_KEY, key_information=known)


class TwoFacedConnector(FakeConnector):
    """Answers each key as it was told for that key, and the others as ever."""

    def __init__(self) -> None:
        super().__init__()
        self.says = says(TRADER)
        self.of_key: dict[str, Verification] = {}

    async def verify(self, exchange: str, keys: Any) -> Verification:
        usual = await super().verify(exchange, keys)
        return self.of_key.get(keys.api_key, usual)


@pytest.fixture
def connector() -> TwoFacedConnector:
    return TwoFacedConnector()


@pytest.fixture(autouse=True)
async def no_keeper(services: Container) -> None:
    """Nothing is rolled back or ended but by the test, however long it takes."""
    await services._workers.stop()


@pytest.fixture
async def alice(services: Container) -> Person:
    return await person(services, "alice")


@pytest.fixture
async def stored(services: Container, alice: Person) -> Credential:
    return await services.credentials.create(alice.user_id, OLD, alice.caller)


def pair(**other: Any) -> dict[str, Any]:
    return {
        "api_key": "K" + secrets.token_hex(16),
        "api_secret": SecretStr(secrets.token_hex(16)),
        **other,
    }


OLD = CredentialCreate(exchange_name="binance", **pair())


def new_pair(**other: Any) -> RotationStart:
    return RotationStart(**pair(**other))


async def rotate(
    services: Container, owner: Person, stored: Credential, asked: RotationStart | None = None
) -> Rotation:
    return await services.rotations.start(
        owner.user_id, stored.id, asked or new_pair(), owner.caller
    )


async def resume(services: Container, owner: Person, stored: Credential, **asked: bool) -> Rotation:
    return await services.rotations.resume(
        owner.user_id, stored.id, RotationTry(**asked), owner.caller
    )


async def restore(services: Container, owner: Person, stored: Credential) -> Rotation:
    return await services.rotations.restore(owner.user_id, stored.id, owner.caller)


async def verify(services: Container, owner: Person, stored: Credential) -> None:
    await services.credentials.verify(owner.user_id, stored.id, owner.caller)


async def keys_of(services: Container, owner: Person, stored: Credential) -> list[str | None]:
    """Return the masked keys: in use, pending, previous."""
    found = await services.rotations.show(owner.user_id, stored.id)
    return [
        version.api_key_masked if version is not None else None
        for version in (found.current, found.pending, found.previous)
    ]


async def rows(services: Container, sql: str) -> list[Any]:
    async with services.database.snapshot() as session:
        return list((await session.execute(text(sql))).all())


async def run(services: Container, sql: str) -> None:
    async with services.database.transaction() as session:
        await session.execute(text(sql))


async def open_deks(services: Container) -> int:
    """Return how many data keys of people still open something."""
    found = await rows(
        services, "SELECT count(*) FROM deks WHERE wrapped IS NOT NULL AND owner_id > 0"
    )
    return int(found[0][0])


async def audited(services: Container, act: str) -> list[dict[str, Any]]:
    found = await rows(services, "SELECT payload FROM audit_events ORDER BY seq")
    events = [json.loads(payload) for (payload,) in found]
    return [event for event in events if event["act"] == act]


async def told(services: Container, owner: Person) -> list[NotificationKind]:
    page = await services.notifications.page(owner.user_id, 200, None)
    return [event.kind for event in page.items]


def masked(asked: RotationStart | CredentialCreate) -> str:
    return mask_api_key(asked.api_key)


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


async def test_the_owner_is_told_when_the_new_key_is_of_another_account(
    services: Container, alice: Person, connector: TwoFacedConnector
) -> None:
    connector.says = says(replace(TRADER, owner_uid="77"))
    stored = await services.credentials.create(alice.user_id, OLD, alice.caller)
    connector.says = says(replace(TRADER, owner_uid="78"))

    await rotate(services, alice, stored)

    (event,) = (await services.notifications.page(alice.user_id, 200, None)).items
    assert event.facts["other_account"] is True


async def test_a_second_rotation_replaces_the_previous_pair_for_good(
    services: Container, alice: Person, stored: Credential
) -> None:
    first, second = new_pair(), new_pair()
    await rotate(services, alice, stored, first)

    await rotate(services, alice, stored, second)

    assert await keys_of(services, alice, stored) == [masked(second), None, masked(first)]
    assert await open_deks(services) == 2


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
