"""What is told of the difference between two passports, case by case."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backend.app.enums import Environment, Known, NotificationKind, UnknownBecause
from backend.app.schemas.passport_schemas import Passport
from backend.app.services.passport_changes import changes_between, says_less, smaller_rights

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
YES, NO, UNKNOWN = Known.YES, Known.NO, Known.UNKNOWN


def passport(**told: Any) -> Passport:
    members: dict[str, Any] = {
        "checked_at": NOW,
        "environment": Environment.LIVE,
        "can_read": YES,
        "can_trade": YES,
        "can_withdraw": NO,
        "can_transfer": NO,
        "ip_restricted": NO,
        "ip_addresses": [],
        "expires_at": None,
        "remaining_days": None,
        "trading_ends_at": None,
        "is_sub_account": NO,
        "owner_uid": "1",
        "clock_offset_ms": 0,
        "latency_ms": 1,
        "unknown_because": None,
        "evidence": {},
    }
    return Passport(**{**members, **told})


def ending(days: int) -> Passport:
    return passport(remaining_days=days, expires_at=NOW + timedelta(days=days))


def kinds(before: Passport | None, after: Passport) -> list[NotificationKind]:
    return [change.kind for change in changes_between(before, after)]


@pytest.mark.parametrize(
    ("right", "was", "now", "told"),
    [
        ("can_withdraw", NO, YES, [NotificationKind.WITHDRAWAL_ENABLED]),
        ("can_withdraw", UNKNOWN, YES, [NotificationKind.WITHDRAWAL_ENABLED]),
        ("can_withdraw", YES, YES, []),
        ("can_withdraw", YES, NO, [NotificationKind.RIGHT_LOST]),
        ("can_withdraw", YES, UNKNOWN, []),
        ("can_trade", YES, NO, [NotificationKind.RIGHT_LOST]),
        ("can_trade", NO, YES, [NotificationKind.RIGHT_GAINED]),
        ("can_trade", YES, UNKNOWN, []),
        ("can_trade", UNKNOWN, YES, []),
        ("can_transfer", NO, YES, [NotificationKind.RIGHT_GAINED]),
        ("can_read", YES, NO, [NotificationKind.RIGHT_LOST]),
    ],
)
def test_a_change_of_a_right_is_told_where_both_sides_are_known(
    right: str, was: Known, now: Known, told: list[NotificationKind]
) -> None:
    changes = changes_between(passport(**{right: was}), passport(**{right: now}))

    assert [change.kind for change in changes] == told
    assert all(change.facts == {"right": right, "was": was, "now": now} for change in changes)


def test_the_first_passport_tells_of_withdrawal_and_of_the_end_only() -> None:
    first = passport(can_withdraw=YES, can_transfer=YES, ip_restricted=YES, remaining_days=2)
    first.expires_at = NOW + timedelta(days=2)

    assert kinds(None, first) == [
        NotificationKind.WITHDRAWAL_ENABLED,
        NotificationKind.KEY_ENDS_SOON,
    ]
    assert kinds(None, passport()) == []


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ((NO, []), (YES, ["203.0.113.7"]), True),
        ((YES, ["203.0.113.7"]), (NO, []), True),
        ((YES, ["203.0.113.7"]), (YES, ["203.0.113.8"]), True),
        ((YES, ["203.0.113.7", "::1"]), (YES, ["::1", "203.0.113.7"]), False),
        ((NO, None), (YES, None), True),
        ((UNKNOWN, None), (YES, ["::1"]), False),
        ((YES, ["::1"]), (UNKNOWN, None), False),
    ],
)
def test_a_changed_address_list_is_told(was: Any, now: Any, told: bool) -> None:
    before = passport(ip_restricted=was[0], ip_addresses=was[1])
    after = passport(ip_restricted=now[0], ip_addresses=now[1])

    assert kinds(before, after) == ([NotificationKind.ADDRESSES_CHANGED] if told else [])


@pytest.mark.parametrize(
    ("before", "after", "within"),
    [
        (15, 14, 14),
        (14, 13, None),
        (4, 3, 3),
        (3, 2, None),
        (2, 1, 1),
        (1, 0, None),
        (30, 2, 3),
        (30, 15, None),
        (None, 10, 14),
        (None, 40, None),
        (2, 90, None),
    ],
)
def test_an_end_is_told_once_as_it_comes_within_each_threshold(
    before: int | None, after: int, within: int | None
) -> None:
    changes = changes_between(passport() if before is None else ending(before), ending(after))

    assert [change.facts["within_days"] for change in changes] == (
        [] if within is None else [within]
    )


def test_a_right_to_trade_that_ends_is_told_like_the_end_of_the_key() -> None:
    changes = changes_between(passport(), passport(trading_ends_at=NOW + timedelta(days=2)))

    assert [change.facts for change in changes] == [
        {"within_days": 3, "expires_at": "2026-11-23T12:00:00+00:00"}
    ]


@pytest.mark.parametrize(
    ("told_before", "told_now", "less"),
    [
        (None, None, False),
        (None, UnknownBecause.NO_ANSWER, True),
        (None, UnknownBecause.REFUSED, True),
        (None, UnknownBecause.NOT_TOLD, False),
        (UnknownBecause.REFUSED, UnknownBecause.REFUSED, False),
        (UnknownBecause.NO_ANSWER, UnknownBecause.REFUSED, False),
        (UnknownBecause.NOT_TOLD, UnknownBecause.NO_ANSWER, True),
    ],
)
def test_a_passport_that_says_nothing_does_not_replace_one_that_does(
    told_before: UnknownBecause | None, told_now: UnknownBecause | None, less: bool
) -> None:
    before, after = passport(unknown_because=told_before), passport(unknown_because=told_now)

    assert says_less(after, before) is less
    assert says_less(after, None) is False


@pytest.mark.parametrize(
    ("right", "was", "now", "missing"),
    [
        ("can_trade", YES, YES, False),
        ("can_trade", YES, NO, True),
        ("can_trade", YES, UNKNOWN, True),
        ("can_trade", NO, NO, False),
        ("can_trade", UNKNOWN, NO, False),
        ("can_read", YES, NO, True),
        ("can_transfer", YES, NO, True),
        ("can_withdraw", YES, NO, True),
        ("can_withdraw", NO, YES, False),
    ],
)
def test_a_right_is_missing_where_it_was_told_and_is_not_any_more(
    right: str, was: Known, now: Known, missing: bool
) -> None:
    found = smaller_rights(passport(**{right: was}), passport(**{right: now}))

    assert found == ([{"right": right, "was": was, "now": now}] if missing else [])


def test_without_an_earlier_passport_nothing_can_be_missing() -> None:
    assert smaller_rights(None, passport(can_trade=NO)) == []


def test_without_a_new_passport_every_right_that_was_told_is_missing() -> None:
    missing = smaller_rights(passport(), None)

    assert [each["right"] for each in missing] == ["can_read", "can_trade"]
