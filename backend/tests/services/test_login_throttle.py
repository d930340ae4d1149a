"""The wait after failed logins: it grows, and it ends."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from backend.app.services.login_throttle import DELAY_SECONDS_MAX, delay_after


def test_the_delay_doubles_from_the_fifth_failure_to_five_minutes() -> None:
    seconds = [int(delay_after(failures).total_seconds()) for failures in range(16)]

    assert seconds == [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


@given(st.integers(min_value=0, max_value=10**9))
def test_nobody_ever_waits_longer_than_five_minutes(failures: int) -> None:
    assert timedelta(0) <= delay_after(failures) <= timedelta(seconds=DELAY_SECONDS_MAX)
