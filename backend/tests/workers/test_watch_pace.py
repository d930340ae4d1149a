"""When keys are tried, and when an exchange is left in peace."""

from datetime import UTC, datetime, timedelta

import pytest

from backend.app.workers.watch_pace import (
    KEYS_PER_ROUND_MAX,
    REST_MAX,
    REST_MIN,
    Outcome,
    Pace,
    Schedule,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
KEYS = range(1, 1001)


@pytest.fixture
def schedule() -> Schedule:
    return Schedule(DAY)


def busiest_hour(times: list[datetime]) -> int:
    hours = [int((at - NOW) / timedelta(hours=1)) for at in times]
    return max(hours.count(hour) for hour in set(hours))


def test_new_keys_are_spread_over_the_interval_and_none_is_due_at_once(schedule: Schedule) -> None:
    times = [schedule.first(key, NOW) for key in KEYS]

    assert NOW + DAY * 0.1 <= min(times) < NOW + DAY * 0.15
    assert NOW + DAY * 0.95 < max(times) <= NOW + DAY
    # 1,000 in 22 hours would be 46 an hour if they kept equal distance.
    assert busiest_hour(times) < 80


def test_a_restart_draws_the_same_times(schedule: Schedule) -> None:
    again = Schedule(DAY)

    assert [again.first(key, NOW) for key in KEYS] == [schedule.first(key, NOW) for key in KEYS]
    assert [again.next(key, NOW) for key in KEYS] == [schedule.next(key, NOW) for key in KEYS]


def test_keys_tried_at_the_same_moment_part_again(schedule: Schedule) -> None:
    times = [schedule.next(key, NOW) for key in KEYS]

    assert NOW + DAY * 0.9 <= min(times) < NOW + DAY * 0.92
    assert NOW + DAY * 1.08 < max(times) <= schedule.latest(NOW)
    assert busiest_hour(times) < 300


def test_each_attempt_of_a_key_is_drawn_anew(schedule: Schedule) -> None:
    waits = {schedule.next(7, NOW + DAY * day) - (NOW + DAY * day) for day in range(10)}

    assert len(waits) == 10


def test_an_exchange_that_tells_nothing_rests_for_twice_as_long_each_time_up_to_a_bound() -> None:
    pace, now, rests = Pace(), NOW, []

    for _ in range(9):
        pace.learn([Outcome.SILENT], now)
        began = now
        while not pace.keys_max(now):
            now += REST_MIN / 2
        rests.append(now - began)

    assert rests[:4] == [REST_MIN, 2 * REST_MIN, 4 * REST_MIN, 8 * REST_MIN]
    assert rests[-3:] == [REST_MAX] * 3


def test_after_a_rest_one_key_probes_and_its_verdict_ends_the_caution() -> None:
    pace = Pace()
    pace.learn([Outcome.SILENT] * 5, NOW)

    resting, probing = pace.keys_max(NOW), pace.keys_max(NOW + REST_MIN)
    pace.learn([Outcome.TOLD], NOW + REST_MIN)

    assert (resting, probing) == (0, 1)
    assert pace.keys_max(NOW + REST_MIN) == KEYS_PER_ROUND_MAX


@pytest.mark.parametrize(
    ("outcomes", "keys_max"),
    [
        ([Outcome.TOLD, Outcome.SILENT], KEYS_PER_ROUND_MAX),
        ([Outcome.NOT_TRIED], KEYS_PER_ROUND_MAX),
        ([Outcome.TOLD, Outcome.THROTTLED], 0),
        ([Outcome.NOT_TRIED, Outcome.SILENT], 0),
    ],
)
def test_one_verdict_shows_that_an_exchange_answers_unless_it_asks_us_to_slow_down(
    outcomes: list[Outcome], keys_max: int
) -> None:
    pace = Pace()

    pace.learn(outcomes, NOW)

    assert pace.keys_max(NOW) == keys_max
