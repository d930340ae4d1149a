"""One actor, many credentials, one minute."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from backend.app.audit_record import (
    SYSTEM,
    Act,
    Actor,
    ActorType,
    AuditObject,
    AuditRecord,
    Caller,
    Outcome,
)
from backend.app.services.use_watch import CREDENTIALS_PER_ACTOR_MAX, WATCH_SECONDS, UseWatch


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def use(credential: int, user: int = 7) -> AuditRecord:
    return AuditRecord(
        act=Act.CREDENTIAL_USED,
        outcome=Outcome.ALLOWED,
        caller=Caller(Actor(ActorType.USER, user), "0f" * 16),
        at=datetime(2026, 11, 21, tzinfo=UTC),
        object=AuditObject("credential", credential, user),
        purpose="verify",
        kid="k1",
        rev=3,
    )


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def watch(seconds: Seconds) -> UseWatch:
    return UseWatch(seconds)


def test_the_same_credentials_again_and_again_are_no_alarm(watch: UseWatch) -> None:
    uses = [use(n) for n in range(CREDENTIALS_PER_ACTOR_MAX)] * 3

    assert [watch.note(each) for each in uses] == [None] * len(uses)


def test_one_too_many_is_an_alarm_that_says_who_and_how_many(watch: UseWatch) -> None:
    alarms = [watch.note(use(n)) for n in range(CREDENTIALS_PER_ACTOR_MAX + 1)]

    alarm = alarms[-1]
    assert alarms[:-1] == [None] * CREDENTIALS_PER_ACTOR_MAX
    assert alarm is not None
    assert (alarm.act, alarm.n) == (Act.ALARM_MANY_CREDENTIALS, CREDENTIALS_PER_ACTOR_MAX + 1)
    assert alarm.caller == use(0).caller
    assert (alarm.object, alarm.purpose, alarm.kid, alarm.rev) == (None,) * 4


def test_uses_of_more_than_a_minute_ago_do_not_count(watch: UseWatch, seconds: Seconds) -> None:
    for n in range(CREDENTIALS_PER_ACTOR_MAX):
        watch.note(use(n))
    seconds.now += WATCH_SECONDS + 0.1

    assert watch.note(use(99)) is None


def test_each_actor_is_counted_alone(watch: UseWatch) -> None:
    uses = [use(n, user=n % 2) for n in range(2 * CREDENTIALS_PER_ACTOR_MAX)]

    assert [watch.note(each) for each in uses] == [None] * len(uses)


def test_the_house_may_go_through_all_keys(watch: UseWatch) -> None:
    by_the_house = [
        replace(use(number), caller=SYSTEM) for number in range(CREDENTIALS_PER_ACTOR_MAX + 1)
    ]

    assert [watch.note(each) for each in by_the_house] == [None] * len(by_the_house)


def test_only_uses_count(watch: UseWatch) -> None:
    reads = [replace(use(n), act=Act.CREDENTIAL_VERIFIED) for n in range(200)]

    assert [watch.note(each) for each in reads] == [None] * 200


def test_after_an_alarm_the_count_begins_anew(watch: UseWatch) -> None:
    alarms = [watch.note(use(n)) for n in range(2 * (CREDENTIALS_PER_ACTOR_MAX + 1))]

    assert sum(alarm is not None for alarm in alarms) == 2
