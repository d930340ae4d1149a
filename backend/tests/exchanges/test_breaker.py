"""The breaker rests after failures in a row and lets one probe decide."""

import pytest

from backend.app.exchanges.breaker import Breaker, BreakerOpen


class _Hands:
    """A monotonic clock turned by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class _Failure(Exception):
    pass


@pytest.fixture
def hands() -> _Hands:
    return _Hands()


@pytest.fixture
def breaker(hands: _Hands) -> Breaker:
    return Breaker(failures_to_open=3, open_seconds=30.0, monotonic=hands)


def _fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(_Failure), breaker.attempt(_Failure):
            raise _Failure


def test_it_opens_after_the_failures_it_was_told(breaker: Breaker) -> None:
    _fail(breaker, times=3)

    with pytest.raises(BreakerOpen), breaker.attempt(_Failure):
        pytest.fail("nothing may be sent")


def test_a_success_in_between_starts_the_count_again(breaker: Breaker) -> None:
    _fail(breaker, times=2)
    with breaker.attempt(_Failure):
        pass
    _fail(breaker, times=2)

    with breaker.attempt(_Failure):
        pass


def test_one_probe_goes_out_after_the_rest_and_others_wait(breaker: Breaker, hands: _Hands) -> None:
    _fail(breaker, times=3)
    hands.seconds = 30.0

    with breaker.attempt(_Failure), pytest.raises(BreakerOpen), breaker.attempt(_Failure):
        pytest.fail("only one probe at a time")

    with breaker.attempt(_Failure):
        pass


def test_a_failed_probe_opens_it_again_at_once(breaker: Breaker, hands: _Hands) -> None:
    _fail(breaker, times=3)
    hands.seconds = 30.0
    _fail(breaker)

    hands.seconds = 59.0
    with pytest.raises(BreakerOpen), breaker.attempt(_Failure):
        pytest.fail("nothing may be sent")


def test_a_caller_who_leaves_during_the_probe_leaves_room_for_the_next(
    breaker: Breaker, hands: _Hands
) -> None:
    _fail(breaker, times=3)
    hands.seconds = 30.0
    with pytest.raises(KeyboardInterrupt), breaker.attempt(_Failure):
        raise KeyboardInterrupt

    with breaker.attempt(_Failure):
        pass
