"""The watch tries what is due, shares it, spares exchanges in trouble, believes only verdicts."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from backend.app.clock import utc_now
from backend.app.config import Settings
from backend.app.container import Container
from backend.app.enums import Environment, Known, NotificationKind
from backend.app.errors import AuditUnavailable
from backend.app.exchanges.reasons import Reason, Refusal, Standing
from backend.app.exchanges.registry import SUPPORTED
from backend.app.exchanges.verification import ExchangeKeys, Verification
from backend.app.schemas.credential_schemas import Credential, CredentialCreate, CredentialUpdate
from backend.app.workers.credential_watch import CLAIM_LASTS, CredentialWatch
from backend.app.workers.runner import WorkerRunner
from backend.app.workers.watch_pace import KEYS_PER_ROUND_MAX, REST_MIN
from backend.tests.conftest import HandClock
from backend.tests.support.fake_connector import GOOD_KEY, FakeConnector, refused
from backend.tests.support.people import Person, person
from backend.tests.support.sandbox import RunningSandbox
from backend.tests.support.settings import settings_for_tests

DAY = timedelta(days=1)
NO_VERDICTS = [reason for reason in Reason if Refusal(reason).standing is Standing.NO_VERDICT]


class Exchanges(FakeConnector):
    """Says of each exchange what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.of: dict[str, Verification] = {}

    async def verify(self, exchange: str, keys: ExchangeKeys) -> Verification:
        said = await super().verify(exchange, keys)
        return self.of.get(exchange, said)

    def keys(self) -> list[str]:
        """Return which keys were asked about since the last time."""
        asked, self.asked = self.asked, []
        return [api_key for _, api_key, _, _ in asked]


@pytest.fixture
def connector() -> Exchanges:
    return Exchanges()


@pytest.fixture
async def alice(services: Container) -> Person:
    return await person(services, "alice")


@pytest.fixture
def watch(services: Container, clock: HandClock) -> CredentialWatch:
    return watch_of(services, clock)


def watch_of(
    services: Container, clock: Any, environment: Environment = Environment.SANDBOX
) -> CredentialWatch:
    return CredentialWatch(services.database, services.credentials, environment, DAY, clock)


async def bound(services: Container, owner: Person, **other: Any) -> Credential:
    members = {
        "exchange_name": "binance",
        "api_key": "K" + secrets.token_hex(16),
        "api_secret": SecretStr(secrets.token_hex(16)),
        "verify": False,
    }
    asked = CredentialCreate(**{**members, **other})
    return await services.credentials.create(owner.user_id, asked, owner.caller)


async def many_bound(services: Container, owner: Person, count: int, **other: Any) -> None:
    for _ in range(count):
        await bound(services, owner, **other)


async def rows(services: Container, sql: str) -> list[Any]:
    async with services.database.snapshot() as session:
        return list((await session.execute(text(sql))).all())


async def due_at(services: Container) -> list[datetime]:
    found = await rows(services, "SELECT next_check_at FROM api_credentials ORDER BY id")
    return [at for (at,) in found]


async def all_due(services: Container, at: datetime) -> None:
    """Make every key due at a moment, in the order they were bound."""
    async with services.database.transaction() as session:
        await session.execute(
            text(
                "UPDATE api_credentials"
                " SET next_check_at = CAST(:at AS timestamptz) + id * interval '1 microsecond'"
            ),
            {"at": at - timedelta(seconds=1)},
        )


async def told(services: Container, owner: Person) -> list[NotificationKind]:
    page = await services.notifications.page(owner.user_id, 200, None)
    return [event.kind for event in reversed(page.items)]


async def test_new_keys_get_a_time_within_the_interval_and_are_tried_then_and_not_before(
    services: Container,
    alice: Person,
    watch: CredentialWatch,
    connector: Exchanges,
    clock: HandClock,
) -> None:
    await many_bound(services, alice, 20)
    await watch.tick()
    times = await due_at(services)

    clock.moment = min(times) - timedelta(microseconds=1)
    await watch.tick()
    too_early = connector.keys()
    clock.moment = min(times)
    await watch.tick()

    assert len(set(times)) == 20
    assert all(DAY * 0.1 <= at - HandClock().moment <= DAY for at in times)
    assert too_early == []
    assert len(connector.keys()) == 1


async def test_a_key_that_was_tried_is_tried_again_about_an_interval_later(
    services: Container,
    alice: Person,
    watch: CredentialWatch,
    connector: Exchanges,
    clock: HandClock,
) -> None:
    stored = await bound(services, alice)
    await all_due(services, clock())

    await watch.tick()

    (next_at,) = await due_at(services)
    found = await services.credentials.get(alice.user_id, stored.id)
    assert len(connector.keys()) == 1
    assert DAY * 0.9 <= next_at - clock() <= DAY * 1.1
    assert found.last_verified_at == clock()
    assert found.updated_at == stored.updated_at


async def test_who_asked_and_for_what_is_on_record(
    services: Container, alice: Person, watch: CredentialWatch, clock: HandClock
) -> None:
    await bound(services, alice)
    await all_due(services, clock())

    await watch.tick()

    found = await rows(services, "SELECT payload FROM audit_events ORDER BY seq")
    events = [json.loads(payload) for (payload,) in found]
    used = next(event for event in events if event["act"] == "credential.used")
    verified = next(event for event in events if event["act"] == "credential.verified")
    assert (used["actor"], used["purpose"]) == ({"type": "system"}, "watch")
    assert verified["actor"] == {"type": "system"}


async def test_a_shorter_interval_counts_at_once(
    services: Container,
    alice: Person,
    watch: CredentialWatch,
    clock: HandClock,
) -> None:
    await bound(services, alice)
    await all_due(services, clock() + 30 * DAY)

    await watch.tick()

    (next_at,) = await due_at(services)
    assert next_at <= clock() + DAY


async def test_keys_that_are_switched_off_or_of_the_other_environment_are_left_alone(
    services: Container,
    alice: Person,
    watch: CredentialWatch,
    connector: Exchanges,
    clock: HandClock,
) -> None:
    off = await bound(services, alice)
    await services.credentials.update(
        alice.user_id, off.id, CredentialUpdate(is_active=False), alice.caller
    )
    await all_due(services, clock())

    await watch.tick()
    await bound(services, alice)
    await all_due(services, clock())
    await watch_of(services, clock, Environment.LIVE).tick()

    assert connector.keys() == []


async def test_of_one_exchange_a_few_keys_are_tried_at_a_time_and_the_longest_due_first(
    services: Container,
    alice: Person,
    watch: CredentialWatch,
    connector: Exchanges,
    clock: HandClock,
) -> None:
    await many_bound(services, alice, 12)
    await many_bound(services, alice, 2, exchange_name="bybit")
    order = [
        key for (key,) in await rows(services, "SELECT api_key FROM api_credentials ORDER BY id")
    ]
    await all_due(services, clock())

    rounds = []
    for _ in range(4):
        await watch.tick()
        rounds.append(connector.keys())

    assert [set(each) for each in rounds] == [
        {*order[:KEYS_PER_ROUND_MAX], *order[12:]},
        set(order[KEYS_PER_ROUND_MAX:10]),
        set(order[10:12]),
        set(),
    ]
    assert KEYS_PER_ROUND_MAX * 60 / CredentialWatch.interval_seconds <= 60


async def test_an_exchange_that_tells_nothing_is_spared_then_probed_and_the_others_go_on(
    services: Container,
    alice: Person,
    watch: CredentialWatch,
    connector: Exchanges,
    clock: HandClock,
) -> None:
    await many_bound(services, alice, 15)
    await many_bound(services, alice, 15, exchange_name="bybit")
    connector.of["binance"] = refused(Reason.EXCHANGE_UNAVAILABLE)
    await all_due(services, clock())

    async def asked() -> tuple[int, int]:
        connector.asked = []
        await watch.tick()
        exchanges = [exchange for exchange, *_ in connector.asked]
        return exchanges.count("binance"), exchanges.count("bybit")

    rounds = [await asked(), await asked()]
    clock.advance(seconds=REST_MIN.total_seconds())
    rounds += [await asked(), await asked()]
    clock.advance(seconds=REST_MIN.total_seconds() * 2)
    connector.of.clear()
    rounds += [await asked(), await asked()]

    assert rounds == [(5, 5), (0, 5), (1, 5), (0, 0), (1, 0), (5, 0)]


@pytest.mark.parametrize("reason", NO_VERDICTS)
async def test_an_outage_changes_nothing_of_a_key_which_is_tried_again_when_the_claim_lapses(
    services: Container,
    alice: Person,
    watch: CredentialWatch,
    connector: Exchanges,
    clock: HandClock,
    reason: Reason,
) -> None:
    stored = await bound(services, alice, verify=True)
    before = await services.credentials.get(alice.user_id, stored.id)
    connector.says = refused(reason)
    await all_due(services, clock())
    connector.keys()

    for _ in range(5):
        await watch.tick()
        assert await due_at(services) == [clock() + CLAIM_LASTS]
        clock.advance(seconds=CLAIM_LASTS.total_seconds())

    assert len(connector.keys()) == 5
    assert await services.credentials.get(alice.user_id, stored.id) == before
    assert await told(services, alice) == []
    counted = await rows(services, "SELECT invalid_verdicts, deactivated_at FROM api_credentials")
    assert counted == [(0, None)]


async def test_three_invalid_verdicts_in_a_row_switch_a_key_off_and_tell_its_owner(
    services: Container,
    alice: Person,
    watch: CredentialWatch,
    connector: Exchanges,
    clock: HandClock,
) -> None:
    stored = await bound(services, alice)
    connector.says = refused(Reason.INVALID_KEY)
    await all_due(services, clock())

    active = []
    for _ in range(5):
        await watch.tick()
        active.append((await services.credentials.get(alice.user_id, stored.id)).is_active)
        clock.advance(hours=27)

    assert active == [True, True, False, False, False]
    assert len(connector.keys()) == 3
    assert await told(services, alice) == [
        NotificationKind.KEY_INVALID,
        NotificationKind.KEY_DEACTIVATED,
    ]


async def test_the_end_of_a_key_is_told_fourteen_three_and_one_days_before(
    services: Container,
    alice: Person,
    watch: CredentialWatch,
    connector: Exchanges,
    clock: HandClock,
) -> None:
    await bound(services, alice)
    ends_at = clock() + timedelta(days=20)
    known = replace(GOOD_KEY.key_information, can_trade=Known.YES, expires_at=ends_at)  # type: ignore[type-var]
    connector.says = replace(GOOD_KEY, key_information=known)

    for days_left in (20, 15, 14, 13, 4, 3, 2, 1):
        clock.moment = ends_at - timedelta(days=days_left)
        await all_due(services, clock())
        await watch.tick()

    page = await services.notifications.page(alice.user_id, 200, None)
    warnings = [(event.kind, event.facts["within_days"]) for event in reversed(page.items)]
    assert warnings == [(NotificationKind.KEY_ENDS_SOON, days) for days in (14, 3, 1)]


async def test_two_processes_share_the_work_and_no_key_is_tried_twice(
    services: Container,
    settings: Settings,
    database_url: str,
    alice: Person,
    watch: CredentialWatch,
    connector: Exchanges,
    clock: HandClock,
) -> None:
    theirs = Exchanges()
    other = Container(settings, database_url, clock, theirs)
    await other.open()
    await many_bound(services, alice, 20)
    await all_due(services, clock())
    other_watch = watch_of(other, clock)

    for _ in range(2):
        await asyncio.gather(watch.tick(), other_watch.tick())

    await other.stop()
    ours, others = connector.keys(), theirs.keys()
    assert len(ours) == len(others) == 10
    assert len({*ours, *others}) == 20


async def test_a_key_deleted_or_replaced_meanwhile_is_passed_over_quietly(
    services: Container,
    alice: Person,
    watch: CredentialWatch,
    connector: Exchanges,
    clock: HandClock,
) -> None:
    deleted = await bound(services, alice)
    replaced = await bound(services, alice, exchange_name="bybit")
    stays = await bound(services, alice, exchange_name="mexc")
    new = CredentialUpdate(api_secret=SecretStr("new"), verify=False)

    async def meanwhile() -> None:
        await services.credentials.delete(alice.user_id, deleted.id, alice.caller)
        await services.credentials.update(alice.user_id, replaced.id, new, alice.caller)

    connector.meanwhile = meanwhile
    await all_due(services, clock())

    await watch.tick()

    left = await services.credentials.get(alice.user_id, replaced.id)
    tried = await services.credentials.get(alice.user_id, stays.id)
    assert (left.last_verified_at, tried.last_verified_at) == (None, clock())
    assert await told(services, alice) == []


async def test_a_key_that_does_not_open_stops_no_other(
    services: Container,
    alice: Person,
    watch: CredentialWatch,
    connector: Exchanges,
    clock: HandClock,
) -> None:
    damaged, sound = await bound(services, alice), await bound(services, alice)
    async with services.database.transaction() as session:
        await session.execute(
            text("UPDATE api_credentials SET encrypted_api_secret = 'sr1.x' WHERE id = :id"),
            {"id": damaged.id},
        )
    await all_due(services, clock())

    await watch.tick()

    assert len(connector.keys()) == 1
    assert (await services.credentials.get(alice.user_id, sound.id)).last_verified_at == clock()


async def test_trouble_of_the_house_ends_the_round_says_what_it_is_and_asks_no_exchange(
    services: Container,
    alice: Person,
    watch: CredentialWatch,
    connector: Exchanges,
    clock: HandClock,
) -> None:
    await many_bound(services, alice, 3)
    await all_due(services, clock())
    await services.audit.stop()

    with pytest.raises(AuditUnavailable):
        await watch.tick()

    assert connector.keys() == []
    assert set(await due_at(services)) == {clock() + CLAIM_LASTS}


async def test_what_a_stop_interrupts_is_due_again_when_its_claim_lapses(
    services: Container,
    alice: Person,
    watch: CredentialWatch,
    connector: Exchanges,
    clock: HandClock,
) -> None:
    await bound(services, alice)
    await all_due(services, clock())
    asking = asyncio.Event()

    async def never_answers() -> None:
        asking.set()
        await asyncio.Event().wait()

    connector.meanwhile = never_answers
    runner = WorkerRunner((watch,))
    runner.start()
    await asking.wait()
    await runner.stop()
    interrupted = connector.keys()

    restarted = watch_of(services, clock)
    await restarted.tick()
    claimed = connector.keys()
    clock.advance(seconds=CLAIM_LASTS.total_seconds())
    await restarted.tick()

    assert (len(interrupted), claimed, len(connector.keys())) == (1, [], 1)


@pytest.mark.parametrize(("hours", "is_watched"), [(0, False), (24, True)])
async def test_the_house_watches_unless_the_interval_is_nought(
    database_url: str, connector: Exchanges, clock: HandClock, hours: int, is_watched: bool
) -> None:
    settings = settings_for_tests(credential_check_interval_hours=hours)
    house = Container(settings, database_url, clock, connector)

    await house.start()
    running = {task.get_name() for task in asyncio.all_tasks()}
    await house.stop()

    assert (CredentialWatch.name in running) is is_watched


@pytest.fixture
async def live_house(database_url: str, sandbox: RunningSandbox) -> AsyncIterator[Container]:
    settings = settings_for_tests(sandbox_url=sandbox.base_url, credential_check_interval_hours=24)
    container = Container(settings, database_url, utc_now)
    # Its own watch would take some of the keys that the test's is to try.
    await container.open()
    yield container
    await container.stop()


def kinds() -> Iterator[tuple[str, str, str]]:
    for exchange in SUPPORTED:
        yield exchange, "full", "valid"
    yield "bybit", "expired", "invalid"
    yield "okx", "read_only", "valid"
    yield "mexc", "throttled", "no_verdict"


async def test_real_keys_of_the_sandbox_are_tried_over_http(
    live_house: Container, sandbox: RunningSandbox
) -> None:
    owner = await person(live_house, "alice")
    for exchange, name, _ in kinds():
        keys = sandbox.account(exchange, name).keys
        await bound(
            live_house,
            owner,
            exchange_name=exchange,
            api_key=keys.api_key,
            api_secret=SecretStr(keys.api_secret),
            passphrase=SecretStr(keys.passphrase) if keys.passphrase else None,
        )
    await all_due(live_house, utc_now())

    await watch_of(live_house, utc_now).tick()

    found = await rows(live_house, "SELECT standing FROM credential_checks ORDER BY credential_id")
    assert [standing for (standing,) in found] == [standing for _, _, standing in kinds()]
