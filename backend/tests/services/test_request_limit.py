"""The limit of requests: exact in one process, never exceeded by several, kind to the caller."""

import asyncio
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from backend.app.config import RateLimitSettings
from backend.app.errors import RequestsThrottled
from backend.app.services.request_limit import (
    ALLOWANCE,
    PORTIONS_MIN,
    SUBJECTS_MAX,
    RequestLimit,
    _portion,
)
from backend.tests.support.valkey import Valkey

WINDOW_SECONDS = 600  # No test lasts until the next.


def limited_to(
    requests: int, redis_url: str | None = None, seconds: int = WINDOW_SECONDS
) -> RequestLimit:
    settings = RateLimitSettings(_env_file=None, rl_max_requests=requests, rl_window_sec=seconds)
    # A busy machine takes its time; whoever is not answered in time counts alone.
    url = SecretStr(redis_url) if redis_url else None
    return RequestLimit(settings, url, redis_seconds_max=60.0)


async def granted(limit: RequestLimit, user_id: int, asked: int) -> int:
    """Ask so often at once, and return how often it was allowed."""
    told = await asyncio.gather(
        *(limit.count_user(user_id, {}) for _ in range(asked)), return_exceptions=True
    )
    assert all(isinstance(each, RequestsThrottled) for each in told if isinstance(each, Exception))
    return sum(not isinstance(each, Exception) for each in told)


@pytest.mark.parametrize("allowed", [1, 5, 7, 37, 300])
async def test_one_process_grants_exactly_the_limit(allowed: int) -> None:
    limit = limited_to(allowed)

    assert await granted(limit, 1, allowed + 50) == allowed
    with pytest.raises(RequestsThrottled) as refused:
        await limit.count_user(1, {})
    assert 1 <= (refused.value.retry_after_seconds or 0) <= WINDOW_SECONDS


async def test_everybody_has_a_window_of_their_own() -> None:
    limit = limited_to(3)

    assert await granted(limit, 1, 10) == 3
    assert await granted(limit, 2, 10) == 3
    for _ in range(3):
        await limit.count_address("192.0.2.1", {})
    await limit.count_address("192.0.2.2", {})
    with pytest.raises(RequestsThrottled):
        await limit.count_address("192.0.2.1", {})


async def test_a_new_window_begins_when_the_old_one_ends() -> None:
    limit = limited_to(2, seconds=1)
    # Two, unless the machine holds its breath for as long as a window lasts.
    assert await granted(limit, 1, 5) >= 2

    async with asyncio.timeout(60):
        while await granted(limit, 1, 1) == 0:
            await asyncio.sleep(0.05)


async def test_over_a_boundary_of_windows_no_more_is_granted_than_in_one() -> None:
    """One request opens a window, the rest come at its end, and another begins: not all again."""
    passed = 0.0
    settings = RateLimitSettings(_env_file=None, rl_max_requests=300, rl_window_sec=WINDOW_SECONDS)
    limit = RequestLimit(settings, None, monotonic=lambda: passed)
    opened = await granted(limit, 1, 1)
    passed = WINDOW_SECONDS - 1.0
    at_the_end = await granted(limit, 1, 400)
    limit._windows = limited_to(300)._windows
    limit._known["user:1"].ends_at = 0.0
    passed = WINDOW_SECONDS + 1.0
    state: dict[str, Any] = {}

    after_it = await granted(limit, 1, 400)
    with pytest.raises(RequestsThrottled) as refused:
        await limit.count_user(1, state)
    passed = 2 * WINDOW_SECONDS - 1.0
    later = await granted(limit, 1, 400)

    assert (opened, at_the_end, after_it, later) == (1, 299, 1, 299)
    assert refused.value.retry_after_seconds == WINDOW_SECONDS - 2
    assert state[ALLOWANCE].remaining == 0


async def test_each_answer_tells_what_is_left() -> None:
    limit = limited_to(60)

    left = []
    for _ in range(60):
        state: dict[str, Any] = {}
        await limit.count_user(1, state)
        left.append(state[ALLOWANCE].remaining)

    assert left == list(range(59, -1, -1))


async def test_without_a_limit_nobody_is_counted() -> None:
    limit, state = limited_to(0), dict[str, Any]()

    await limit.count_user(1, state)
    await limit.count_address(None, state)

    assert state == {}


async def test_several_processes_never_grant_more_than_the_limit_together(valkey: Valkey) -> None:
    processes = [limited_to(300, valkey.url) for _ in range(3)]

    told = await asyncio.gather(*(granted(process, 1, 200) for process in processes))

    # What one has taken and not spent is lost to the others: a portion each at the most.
    assert 300 - len(processes) * 300 // PORTIONS_MIN <= sum(told) <= 300
    for process in processes:
        await process.close()


async def test_without_redis_a_process_counts_alone(valkey: Valkey) -> None:
    limit = limited_to(30, valkey.url)
    assert await granted(limit, 1, 10) == 10
    valkey.kill()

    assert await granted(limit, 2, 100) == 30
    await limit.close()


async def test_memory_is_bounded_however_many_ask() -> None:
    limit = limited_to(1)
    limit._known = dict.fromkeys(map(str, range(SUBJECTS_MAX)))  # type: ignore[arg-type]

    await limit.count_user(1, {})

    assert len(limit._known) == SUBJECTS_MAX
    assert await granted(limit, 1, 3) == 0


@given(limit=st.integers(1, 1_000_000))
def test_portions_fill_a_window_without_a_rest(limit: int) -> None:
    portion = _portion(limit)

    assert limit % portion == 0
    assert portion == 1 or limit // portion >= PORTIONS_MIN


async def test_who_comes_just_when_a_portion_was_taken_does_not_hold_everybody_up() -> None:
    """A window that is over as soon as it was read: he who then waited for it never let go."""
    asked, now = 0, math.inf

    def wall() -> float:
        nonlocal asked
        asked += 1
        assert asked < 10_000, "nobody else was let run"
        return now

    settings = RateLimitSettings(_env_file=None, rl_max_requests=300, rl_window_sec=WINDOW_SECONDS)
    limit = RequestLimit(settings, None, wall)

    async def after(turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        await limit.count_user(1, {})

    async def time_passes() -> None:
        nonlocal now
        for _ in range(100):
            await asyncio.sleep(0)
        now = 0.0

    told = await asyncio.gather(
        time_passes(), *(after(turns) for turns in range(20)), return_exceptions=True
    )
    assert all(each is None or isinstance(each, RequestsThrottled) for each in told), told
