"""When a message is tried again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.services.webhooks.retry_plan import (
    ATTEMPTS_MAX,
    JITTER_MAX,
    PAUSES,
    RETRY_AFTER_MAX,
    RetryPlan,
    asked_pause,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def test_a_message_is_tried_eight_times_over_most_of_a_day() -> None:
    whole = sum(PAUSES, timedelta())

    assert ATTEMPTS_MAX == 8
    assert timedelta(hours=20) < whole < timedelta(hours=24)
    assert list(PAUSES) == sorted(PAUSES)


@given(st.floats(0, 1), st.integers(1, ATTEMPTS_MAX - 1))
def test_each_pause_is_drawn_out_by_a_fifth_at_the_most(chance: float, attempts: int) -> None:
    at = RetryPlan(chance).next_attempt(attempts, NOW)

    assert at is not None
    assert PAUSES[attempts - 1] <= at - NOW <= PAUSES[attempts - 1] * (1 + JITTER_MAX)


def test_after_the_last_attempt_it_is_given_up_whatever_is_asked_for() -> None:
    assert RetryPlan(0.5).next_attempt(ATTEMPTS_MAX, NOW, "60") is None


@pytest.mark.parametrize(
    ("asked", "pause"),
    [
        (None, timedelta()),
        ("120", timedelta(minutes=2)),
        ("0", timedelta()),
        ("999999999", RETRY_AFTER_MAX),
        ("9999999999999999999", timedelta()),
        ("-5", timedelta()),
        ("1.5", timedelta()),
        ("١٢", timedelta()),
        ("soon", timedelta()),
        ("", timedelta()),
        ("Sat, 21 Nov 2026 12:10:00 GMT", timedelta(minutes=10)),
        ("Sat, 21 Nov 2026 11:00:00 GMT", timedelta()),
        ("Fri, 31 Dec 9999 23:59:59 GMT", RETRY_AFTER_MAX),
        ("Sat, 99 Nov 2026 12:10:00 GMT", timedelta()),
    ],
)
def test_what_is_asked_for_is_given_within_bounds(asked: str | None, pause: timedelta) -> None:
    assert asked_pause(asked, NOW) == pause


@given(st.text(max_size=60))
def test_no_text_breaks_the_plan(asked: str) -> None:
    at = RetryPlan(1.0).next_attempt(1, NOW, asked)

    assert at is not None
    assert NOW < at <= NOW + RETRY_AFTER_MAX


def test_a_far_end_cannot_make_us_come_back_sooner() -> None:
    assert RetryPlan(0.0).next_attempt(4, NOW, "1") == NOW + PAUSES[3]
