"""When the house switches a key off, and when on again."""

from datetime import UTC, datetime, timedelta

import pytest

from backend.app.enums import NotificationKind
from backend.app.exchanges.reasons import Standing
from backend.app.services.key_standing import INVALID_VERDICTS_APART, KeyStanding, judged

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LATER = INVALID_VERDICTS_APART
FRESH = KeyStanding(is_active=True)


def after(*verdicts: Standing | None, apart: timedelta = LATER) -> list[tuple[bool, str | None]]:
    standing, seen = FRESH, []
    for number, verdict in enumerate(verdicts):
        standing, news = judged(standing, verdict, NOW + number * apart)
        seen.append((standing.is_active, news.value if news else None))
    return seen


def test_three_invalid_verdicts_with_time_between_switch_a_key_off_once() -> None:
    assert after(*[Standing.INVALID] * 5) == [
        (True, "key_invalid"),
        (True, None),
        (False, "key_deactivated"),
        (False, None),
        (False, None),
    ]


def test_verdicts_close_together_count_as_one() -> None:
    quick = after(*[Standing.INVALID] * 6, apart=timedelta(minutes=2))

    assert [active for active, _ in quick] == [True] * 6
    assert [news for _, news in quick] == ["key_invalid", *[None] * 5]


@pytest.mark.parametrize(
    "between",
    [None, Standing.VALID_ELSEWHERE, Standing.VALID_LIMITED, Standing.VALID_UNUSABLE],
)
def test_any_verdict_that_knows_the_key_begins_the_count_anew(between: Standing | None) -> None:
    seen = after(Standing.INVALID, Standing.INVALID, between, Standing.INVALID, Standing.INVALID)

    assert all(active for active, _ in seen)


def test_without_a_verdict_nothing_changes() -> None:
    shaken, _ = judged(FRESH, Standing.INVALID, NOW)

    assert judged(shaken, Standing.NO_VERDICT, NOW + LATER) == (shaken, None)


def test_what_the_house_switched_off_a_valid_verdict_switches_on() -> None:
    off = KeyStanding(is_active=False, invalid_verdicts=3, deactivated_at=NOW)

    assert judged(off, None, NOW) == (FRESH, NotificationKind.KEY_VALID_AGAIN)


def test_known_but_unusable_is_not_enough_to_be_switched_on() -> None:
    off = KeyStanding(is_active=False, invalid_verdicts=3, deactivated_at=NOW)

    assert judged(off, Standing.VALID_ELSEWHERE, NOW)[0].is_active is False


def test_what_a_person_switched_off_stays_off() -> None:
    off = KeyStanding(is_active=False)

    assert judged(off, None, NOW) == (off, None)


def test_a_key_that_was_off_already_is_not_reported_as_switched_off() -> None:
    off = KeyStanding(is_active=False, invalid_verdicts=2, invalid_counted_at=NOW)

    standing, news = judged(off, Standing.INVALID, NOW + LATER)

    assert (standing.deactivated_at, news) == (None, None)
