"""What checks leave behind: history, passports, notifications, and keys switched off and on."""

import asyncio
import json
import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from backend.app.container import Container
from backend.app.enums import Known, NotificationKind, Role
from backend.app.errors import (
    CredentialChanged,
    CredentialNotFound,
    ExchangeThrottled,
    ExchangeUnreachable,
    KeyCanWithdraw,
    NotificationNotFound,
)
from backend.app.exchanges.key_information import KeyInformation
from backend.app.exchanges.reasons import Reason, Refusal
from backend.app.exchanges.registry import SUPPORTED, profile
from backend.app.repositories.credential_check_repository import CHECKS_KEPT_MAX
from backend.app.repositories.notification_repository import NOTIFICATIONS_KEPT_MAX
from backend.app.schemas.credential_schemas import Credential, CredentialCreate, CredentialUpdate
from backend.app.schemas.notification_schemas import Notification
from backend.app.services.principal import Principal
from backend.tests.conftest import HandClock
from backend.tests.support.fake_connector import GOOD_KEY, FakeConnector, refused
from backend.tests.support.people import Person, person

TRADER = KeyInformation(can_read=Known.YES, can_trade=Known.YES, can_withdraw=Known.NO)
WITHDRAWER = replace(TRADER, can_withdraw=Known.YES)


def says(known: KeyInformation | None, **other: Any) -> Any:
    return replace(GOOD_KEY, key_information=known, **other)


@pytest.fixture
def connector() -> FakeConnector:
    connector = FakeConnector()
    connector.says = says(TRADER)
    return connector


@pytest.fixture
async def alice(services: Container) -> Person:
    return await person(services, "alice")


def key_pair(**other: Any) -> CredentialCreate:
    members = {
        "exchange_name": "binance",
        "api_key": "K" + secrets.token_hex(16),
        "api_secret": SecretStr(secrets.token_hex(16)),
    }
    return CredentialCreate(**{**members, **other})


async def bound(services: Container, owner: Person, **other: Any) -> Credential:
    return await services.credentials.create(owner.user_id, key_pair(**other), owner.caller)


async def verify(services: Container, owner: Person, stored: Credential) -> None:
    await services.credentials.verify(owner.user_id, stored.id, owner.caller)


async def standings(services: Container, owner: Person, stored: Credential) -> list[str]:
    page = await services.passports.history(owner.user_id, stored.id, 200, None)
    return [check.standing for check in page.items]


async def told(services: Container, owner: Person) -> list[Notification]:
    return (await services.notifications.page(owner.user_id, 200, None)).items


async def rows(services: Container, sql: str) -> list[Any]:
    async with services.database.snapshot() as session:
        return list((await session.execute(text(sql))).all())


async def audited(services: Container, act: str) -> list[dict[str, Any]]:
    found = await rows(services, "SELECT payload FROM audit_events ORDER BY seq")
    events = [json.loads(payload) for (payload,) in found]
    return [event for event in events if event["act"] == act]


async def test_binding_a_key_begins_its_history_and_stores_its_passport(
    services: Container, alice: Person, clock: HandClock
) -> None:
    stored = await bound(services, alice)

    kept = await services.passports.stored(alice.user_id, stored.id)
    assert await standings(services, alice, stored) == ["valid"]
    assert kept.checked_at == clock()
    assert kept.passport is not None
    assert kept.passport.can_trade is Known.YES
    assert stored.can_withdraw is Known.NO


async def test_a_key_bound_untried_has_neither_passport_nor_history(
    services: Container, alice: Person
) -> None:
    stored = await bound(services, alice, verify=False)

    kept = await services.passports.stored(alice.user_id, stored.id)
    assert (kept.checked_at, kept.passport, stored.can_withdraw) == (None, None, None)
    assert await standings(services, alice, stored) == []


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_a_key_that_can_withdraw_is_refused_with_the_steps_to_mend_it(
    services: Container, alice: Person, connector: FakeConnector, exchange: str
) -> None:
    connector.says = says(WITHDRAWER)
    passphrase = SecretStr("phrase") if profile(exchange).needs_passphrase else None

    with pytest.raises(KeyCanWithdraw) as refusal:
        await bound(services, alice, exchange_name=exchange, passphrase=passphrase)

    assert profile(exchange).key_page in refusal.value.facts["advice"]
    assert await rows(services, "SELECT 1 FROM api_credentials") == []
    assert await rows(services, "SELECT 1 FROM credential_checks") == []


async def test_a_change_to_a_key_that_can_withdraw_leaves_the_old_one(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    stored = await bound(services, alice)
    connector.says = says(WITHDRAWER)

    with pytest.raises(KeyCanWithdraw):
        await services.credentials.update(
            alice.user_id, stored.id, CredentialUpdate(api_secret=SecretStr("new")), alice.caller
        )

    assert await services.credentials.get(alice.user_id, stored.id) == stored


async def test_a_key_that_can_withdraw_is_taken_when_that_is_meant_and_that_is_on_record(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    connector.says = says(WITHDRAWER)

    stored = await bound(services, alice, allow_withdrawal=True)
    await services.credentials.update(
        alice.user_id,
        stored.id,
        CredentialUpdate(api_secret=SecretStr("new"), allow_withdrawal=True),
        alice.caller,
    )

    assert stored.can_withdraw is Known.YES
    for act in ("credential.created", "credential.updated"):
        assert [event["reason"] for event in await audited(services, act)] == ["withdrawal-allowed"]


async def test_allowing_what_the_key_cannot_do_leaves_no_trace(
    services: Container, alice: Person
) -> None:
    await bound(services, alice, allow_withdrawal=True)

    (event,) = await audited(services, "credential.created")
    assert "reason" not in event


async def test_a_right_to_withdraw_that_is_not_told_is_no_reason_to_refuse(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    refusal = Refusal(Reason.PERMISSION_MISSING)
    connector.says = says(None, key_information_refusal=refusal)

    stored = await bound(services, alice)

    assert (stored.can_withdraw, stored.has_trading_permission) == (Known.UNKNOWN, None)


async def test_a_key_of_two_users_is_reported_to_the_administrators_without_the_key(
    services: Container, alice: Person
) -> None:
    bob = await person(services, "bob")
    asked = key_pair()
    hers = await services.credentials.create(alice.user_id, asked, alice.caller)
    his = await services.credentials.create(bob.user_id, asked, bob.caller)

    (event,) = (await services.notifications.administrators_page(50, None)).items
    assert (event.kind, event.credential_id) == (NotificationKind.KEY_SHARED, his.id)
    assert event.facts == {
        "exchange_name": "binance",
        "user_id": bob.user_id,
        "others": [{"user_id": alice.user_id, "credential_id": hers.id}],
    }
    assert [event["n"] for event in await audited(services, "credential.shared")] == [1]
    assert await told(services, alice) == await told(services, bob) == []


async def test_of_two_who_bind_one_key_at_the_same_moment_one_is_reported(
    services: Container, alice: Person
) -> None:
    bob = await person(services, "bob")
    asked = key_pair(verify=False)

    await asyncio.gather(
        services.credentials.create(alice.user_id, asked, alice.caller),
        services.credentials.create(bob.user_id, asked, bob.caller),
    )

    page = await services.notifications.administrators_page(50, None)
    assert [event.kind for event in page.items] == [NotificationKind.KEY_SHARED]


async def test_withdrawal_that_was_switched_on_is_told_once(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    stored = await bound(services, alice)
    connector.says = says(WITHDRAWER)

    await verify(services, alice, stored)
    await verify(services, alice, stored)

    (event,) = await told(services, alice)
    assert event.kind is NotificationKind.WITHDRAWAL_ENABLED
    assert event.facts["exchange_name"] == "binance"
    assert (await services.credentials.get(alice.user_id, stored.id)).can_withdraw is Known.YES


async def test_a_new_key_pair_begins_anew(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    stored = await bound(services, alice)
    connector.says = says(replace(TRADER, can_trade=Known.NO))

    await services.credentials.update(
        alice.user_id, stored.id, CredentialUpdate(api_secret=SecretStr("new")), alice.caller
    )

    assert await told(services, alice) == []
    assert await standings(services, alice, stored) == ["valid", "valid"]


@pytest.mark.parametrize(
    "reason",
    [
        Reason.EXCHANGE_UNAVAILABLE,
        Reason.RATE_LIMITED,
        Reason.CLOCK_SKEW,
        Reason.REGION_RESTRICTED,
        Reason.UNKNOWN,
    ],
)
async def test_without_a_verdict_the_history_grows_and_nothing_else_changes(
    services: Container, alice: Person, connector: FakeConnector, clock: HandClock, reason: Reason
) -> None:
    stored = await bound(services, alice)
    before = await rows(services, "SELECT * FROM api_credentials")
    connector.says = refused(reason)

    for _ in range(5):
        clock.advance(hours=1)
        with pytest.raises((ExchangeUnreachable, ExchangeThrottled)):
            await verify(services, alice, stored)

    assert await rows(services, "SELECT * FROM api_credentials") == before
    assert await told(services, alice) == []
    assert await standings(services, alice, stored) == ["no_verdict"] * 5 + ["valid"]


async def test_what_was_known_of_the_rights_outlives_an_outage_of_that_one_call(
    services: Container, alice: Person, connector: FakeConnector, clock: HandClock
) -> None:
    stored = await bound(services, alice)
    known = await services.passports.stored(alice.user_id, stored.id)
    clock.advance(hours=1)
    connector.says = says(None, key_information_refusal=Refusal(Reason.EXCHANGE_UNAVAILABLE))

    await verify(services, alice, stored)

    found = await services.credentials.get(alice.user_id, stored.id)
    assert await services.passports.stored(alice.user_id, stored.id) == known
    assert (found.has_trading_permission, found.last_verified_at) == (True, clock())
    # And a change that the outage hid is still seen against what was known before.
    connector.says = says(WITHDRAWER)
    await verify(services, alice, stored)
    assert [event.kind for event in await told(services, alice)] == [
        NotificationKind.WITHDRAWAL_ENABLED
    ]


async def test_a_key_is_switched_off_after_three_verdicts_and_on_by_the_first_good_one(
    services: Container, alice: Person, connector: FakeConnector, clock: HandClock
) -> None:
    stored = await bound(services, alice)
    connector.says = refused(Reason.INVALID_KEY)

    active = []
    for _ in range(3):
        clock.advance(minutes=10)
        await verify(services, alice, stored)
        active.append((await services.credentials.get(alice.user_id, stored.id)).is_active)
    connector.says = says(TRADER)
    await verify(services, alice, stored)

    assert active == [True, True, False]
    assert (await services.credentials.get(alice.user_id, stored.id)).is_active
    assert [event.kind for event in reversed(await told(services, alice))] == [
        NotificationKind.KEY_INVALID,
        NotificationKind.KEY_DEACTIVATED,
        NotificationKind.KEY_VALID_AGAIN,
    ]
    assert len(await audited(services, "credential.deactivated")) == 1
    assert len(await audited(services, "credential.reactivated")) == 1


async def test_what_its_owner_switched_off_no_verdict_switches_on(
    services: Container, alice: Person
) -> None:
    stored = await bound(services, alice)
    off = CredentialUpdate(is_active=False)
    await services.credentials.update(alice.user_id, stored.id, off, alice.caller)

    await verify(services, alice, stored)

    assert not (await services.credentials.get(alice.user_id, stored.id)).is_active


async def test_a_new_pair_for_a_key_the_house_switched_off_works_at_once(
    services: Container, alice: Person, connector: FakeConnector, clock: HandClock
) -> None:
    stored = await bound(services, alice)
    connector.says = refused(Reason.BAD_SIGNATURE)
    for _ in range(3):
        clock.advance(minutes=10)
        await verify(services, alice, stored)
    connector.says = says(TRADER)

    changed = await services.credentials.update(
        alice.user_id, stored.id, CredentialUpdate(api_secret=SecretStr("new")), alice.caller
    )

    assert changed.is_active


async def test_what_a_change_answers_is_what_is_stored(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    stored = await bound(services, alice)
    connector.says = says(replace(TRADER, can_trade=Known.NO))

    changed = await services.credentials.update(
        alice.user_id,
        stored.id,
        CredentialUpdate(api_secret=SecretStr("new"), label="desk"),
        alice.caller,
    )

    assert changed == await services.credentials.get(alice.user_id, stored.id)
    assert changed.updated_at > stored.updated_at
    assert changed.has_trading_permission is False


async def test_the_history_is_bounded_and_read_page_by_page(
    services: Container, alice: Person, clock: HandClock
) -> None:
    stored = await bound(services, alice)
    async with services.database.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO credential_checks (credential_id, user_id, checked_at, standing) "
                "SELECT :id, :owner, :at, 'no_verdict' FROM generate_series(1, :many)"
            ),
            {
                "id": stored.id,
                "owner": alice.user_id,
                "at": clock() + timedelta(days=1),
                "many": CHECKS_KEPT_MAX + 5,
            },
        )

    await verify(services, alice, stored)

    seen, cursor = [], None
    while True:
        page = await services.passports.history(alice.user_id, stored.id, 200, cursor)
        seen += [check.id for check in page.items]
        if page.next_cursor is None:
            break
        cursor = int(page.next_cursor)
    assert len(seen) == CHECKS_KEPT_MAX
    assert seen == sorted(set(seen), reverse=True)


async def test_notifications_are_bounded_and_the_newest_stay(
    services: Container, alice: Person, connector: FakeConnector, clock: HandClock
) -> None:
    stored = await bound(services, alice)
    async with services.database.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO notification_events (user_id, kind, facts, created_at) "
                "SELECT :owner, 'key_invalid', '{}', :at FROM generate_series(1, :many)"
            ),
            {"owner": alice.user_id, "at": clock(), "many": NOTIFICATIONS_KEPT_MAX + 5},
        )
    connector.says = says(WITHDRAWER)

    await verify(services, alice, stored)

    (counted,) = await rows(services, "SELECT count(*) FROM notification_events")
    assert counted == (NOTIFICATIONS_KEPT_MAX,)
    assert (await told(services, alice))[0].kind is NotificationKind.WITHDRAWAL_ENABLED


async def test_a_notification_is_read_once_and_by_its_recipient_only(
    services: Container, alice: Person, connector: FakeConnector, clock: HandClock
) -> None:
    root = await person(services, "root2", Role.ADMIN)
    stored = await bound(services, alice)
    connector.says = says(WITHDRAWER)
    await verify(services, alice, stored)
    (event,) = await told(services, alice)
    first_read_at = clock()

    with pytest.raises(NotificationNotFound):
        await services.notifications.mark_read(root.user_id, event.id)
    await services.notifications.mark_read(alice.user_id, event.id)
    clock.advance(hours=1)
    again = await services.notifications.mark_read(alice.user_id, event.id)

    assert (event.read_at, again.read_at) == (None, first_read_at)


async def test_a_key_that_vanished_while_the_exchange_answered_is_a_conflict_without_a_verdict_too(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    stored = await bound(services, alice)
    connector.says = refused(Reason.EXCHANGE_UNAVAILABLE)
    connector.meanwhile = lambda: services.credentials.delete(
        alice.user_id, stored.id, alice.caller
    )

    with pytest.raises(CredentialChanged):
        await verify(services, alice, stored)


async def test_a_deleted_credential_takes_its_history_along_and_leaves_its_notifications(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    stored = await bound(services, alice)
    connector.says = says(WITHDRAWER)
    await verify(services, alice, stored)

    await services.credentials.delete(alice.user_id, stored.id, alice.caller)

    assert await rows(services, "SELECT 1 FROM credential_checks") == []
    assert len(await told(services, alice)) == 1


async def test_anothers_passport_and_history_are_not_there(
    services: Container, alice: Person
) -> None:
    bob = await person(services, "bob")
    stored = await bound(services, alice)

    with pytest.raises(CredentialNotFound):
        await services.passports.stored(bob.user_id, stored.id)
    with pytest.raises(CredentialNotFound):
        await services.passports.history(bob.user_id, stored.id, 10, None)


async def test_checks_and_deletions_of_the_owner_at_once_never_wait_for_each_other(
    services: Container, alice: Person, connector: FakeConnector
) -> None:
    root = await person(services, "root2", Role.ADMIN)
    await person(services, "root3", Role.ADMIN)
    stored = [await bound(services, alice) for _ in range(3)]
    connector.says = says(WITHDRAWER)

    answers = await asyncio.gather(
        *(verify(services, alice, each) for each in stored),
        services.users.delete(_principal(root), alice.user_id),
        return_exceptions=True,
    )

    known = (CredentialChanged, CredentialNotFound, ExchangeUnreachable, type(None))
    assert all(isinstance(answer, known) for answer in answers), answers


def _principal(somebody: Person) -> Principal:
    return Principal(somebody.user_id, somebody.username, Role.ADMIN, somebody.session_id)
