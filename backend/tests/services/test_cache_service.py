"""Reading through the cache: one load for many, and nothing older than the last forget."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from backend.app.services.cache_service import (
    LOCAL_BYTES_MAX,
    LOCAL_TTL_SECONDS_MAX,
    VALUE_BYTES_MAX,
    CacheService,
)
from backend.app.services.redis_cache import RedisCache
from backend.tests.support.valkey import Valkey, eventually

KEY = "list:1"
TTL_SECONDS = 60.0


class Hands:
    """A monotonic clock turned by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Truth:
    """The database: a value, how often it was read, and a gate before and after the reading."""

    def __init__(self, value: bytes = b"one") -> None:
        self.value = value
        self.reads = 0
        self.begin = asyncio.Event()
        self.answer = asyncio.Event()
        self.begin.set()
        self.answer.set()
        self.failure: Exception | None = None

    async def load(self) -> bytes:
        await self.begin.wait()
        self.reads += 1
        read = self.value
        await self.answer.wait()
        if self.failure is not None:
            raise self.failure
        return read

    async def read_by(self, cache: CacheService) -> bytes:
        return await cache.through(KEY, TTL_SECONDS, self.load)


class SlowToForget(RedisCache):
    """A Redis that answers as before until it has heard what to forget."""

    old: bytes | None = None
    is_used = True

    def __init__(self, url: str, mark_key: bytes) -> None:
        super().__init__(url, mark_key)
        self.has_heard = asyncio.Event()

    async def get(self, key: str, ttl_seconds: float) -> tuple[bytes | None, bytes | None]:
        return self.old, None

    async def forget(self, key: str, ttl_seconds: float) -> None:
        await self.has_heard.wait()
        self.old = None


class DatabaseLost(Exception):
    pass


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
async def truth() -> Truth:
    return Truth()


@pytest.fixture
async def alone(hands: Hands) -> AsyncIterator[CacheService]:
    cache = CacheService(None, hands)
    await cache.start()
    yield cache
    await cache.stop()


@asynccontextmanager
async def process(
    valkey: Valkey, hands: Callable[[], float] | None = None
) -> AsyncIterator[CacheService]:
    """Another process of the same installation, as far as the cache can tell."""
    remote = RedisCache(valkey.url, b"m" * 32, operation_seconds_max=60.0, answer_seconds_max=60.0)
    cache = CacheService(remote, hands or Hands())
    await cache.start()
    try:
        await eventually(lambda: remote.is_used)
        yield cache
    finally:
        await cache.stop()


async def test_what_was_loaded_once_is_remembered(alone: CacheService, truth: Truth) -> None:
    first = await truth.read_by(alone)
    truth.value = b"two"

    assert (first, await truth.read_by(alone), truth.reads) == (b"one", b"one", 1)


async def test_it_is_remembered_for_its_lifetime_and_no_longer(
    alone: CacheService, truth: Truth, hands: Hands
) -> None:
    await truth.read_by(alone)
    truth.value = b"two"

    hands.seconds += TTL_SECONDS - 0.001
    assert await truth.read_by(alone) == b"one"
    hands.seconds += 0.001
    assert await truth.read_by(alone) == b"two"


async def test_what_was_forgotten_is_loaded_again(alone: CacheService, truth: Truth) -> None:
    await truth.read_by(alone)
    truth.value = b"two"
    await alone.forget(KEY, TTL_SECONDS)

    assert await truth.read_by(alone) == b"two"


async def test_however_many_ask_at_once_one_loads(alone: CacheService, truth: Truth) -> None:
    answers = await asyncio.gather(*(truth.read_by(alone) for _ in range(100)))

    assert (set(answers), truth.reads) == ({b"one"}, 1)


async def test_different_keys_load_side_by_side(alone: CacheService, truth: Truth) -> None:
    truth.answer.clear()
    first = asyncio.create_task(truth.read_by(alone))

    async def other() -> bytes:
        return b"other"

    assert await alone.through("list:2", TTL_SECONDS, other) == b"other"
    truth.answer.set()
    assert await first == b"one"


async def test_a_failed_load_is_raised_to_everybody_and_remembered_by_nobody(
    alone: CacheService, truth: Truth
) -> None:
    truth.failure = DatabaseLost("gone")
    answers = await asyncio.gather(
        *(truth.read_by(alone) for _ in range(5)), return_exceptions=True
    )
    truth.failure = None

    assert [type(answer) for answer in answers] == [DatabaseLost] * 5
    assert truth.reads == 1
    assert await truth.read_by(alone) == b"one"


async def test_one_caller_who_hangs_up_does_not_take_the_others_along(
    alone: CacheService, truth: Truth
) -> None:
    truth.answer.clear()
    leaver, stayer = (asyncio.create_task(truth.read_by(alone)) for _ in range(2))
    await eventually(lambda: truth.reads == 1)
    leaver.cancel()
    await asyncio.wait({leaver})
    truth.answer.set()

    assert await stayer == b"one"
    assert truth.reads == 1


async def test_a_load_that_fails_after_every_caller_hung_up_disturbs_nobody(
    alone: CacheService, truth: Truth
) -> None:
    truth.answer.clear()
    truth.failure = DatabaseLost("gone")
    caller = asyncio.create_task(truth.read_by(alone))
    await eventually(lambda: truth.reads == 1)
    caller.cancel()
    await asyncio.wait({caller})
    truth.answer.set()
    await eventually(lambda: not alone._loading)
    truth.failure = None

    assert await truth.read_by(alone) == b"one"


async def test_a_slow_reader_does_not_put_back_what_a_write_dropped(
    alone: CacheService, truth: Truth
) -> None:
    truth.answer.clear()
    slow = asyncio.create_task(truth.read_by(alone))
    await eventually(lambda: truth.reads == 1)
    truth.value = b"two"
    await alone.forget(KEY, TTL_SECONDS)
    truth.answer.set()

    assert await slow == b"one"
    assert await truth.read_by(alone) == b"two"


async def test_who_asks_after_a_write_does_not_join_a_load_begun_before_it(
    alone: CacheService, truth: Truth
) -> None:
    truth.answer.clear()
    slow = asyncio.create_task(truth.read_by(alone))
    await eventually(lambda: truth.reads == 1)
    truth.value = b"two"
    await alone.forget(KEY, TTL_SECONDS)
    after = asyncio.create_task(truth.read_by(alone))
    await eventually(lambda: truth.reads == 2)
    truth.answer.set()

    assert (await slow, await after) == (b"one", b"two")
    assert await truth.read_by(alone) == b"two"


async def test_too_large_a_value_is_answered_and_not_kept(
    alone: CacheService, truth: Truth
) -> None:
    truth.value = bytes(VALUE_BYTES_MAX + 1)

    assert await truth.read_by(alone) == truth.value
    assert await truth.read_by(alone) == truth.value
    assert truth.reads == 2


async def test_it_never_holds_more_bytes_than_its_bound(alone: CacheService, truth: Truth) -> None:
    truth.value = bytes(VALUE_BYTES_MAX)
    more_than_fit = LOCAL_BYTES_MAX // VALUE_BYTES_MAX + 10

    for number in range(more_than_fit):
        await alone.through(f"list:{number}", TTL_SECONDS, truth.load)

    assert alone._local.currsize <= LOCAL_BYTES_MAX
    assert len(alone._local) < more_than_fit
    assert await alone.through("list:0", TTL_SECONDS, truth.load) == truth.value


async def test_nothing_is_left_running_after_a_stop(truth: Truth) -> None:
    tasks_before = asyncio.all_tasks()
    cache = CacheService(None)
    await cache.start()
    truth.answer.clear()
    callers = [asyncio.create_task(truth.read_by(cache)) for _ in range(3)]
    await eventually(lambda: truth.reads == 1)

    await cache.stop()
    await asyncio.wait(callers)

    assert asyncio.all_tasks() == tasks_before


async def test_a_second_process_finds_what_the_first_one_loaded(
    valkey: Valkey, truth: Truth
) -> None:
    async with process(valkey) as first, process(valkey) as second:
        await truth.read_by(first)

        assert await truth.read_by(second) == b"one"
        assert truth.reads == 1


async def test_a_change_in_one_process_drops_what_the_other_holds_in_hand(
    valkey: Valkey, truth: Truth
) -> None:
    async with process(valkey) as first, process(valkey) as second:
        await truth.read_by(second)
        truth.value = b"two"
        await first.forget(KEY, TTL_SECONDS)

        await eventually(lambda: KEY not in second._local)

        assert await truth.read_by(second) == b"two"


async def test_a_new_epoch_empties_what_every_process_holds_in_hand(
    valkey: Valkey, truth: Truth
) -> None:
    async with process(valkey) as first:
        await truth.read_by(first)
        assert KEY in first._local

        async with process(valkey):
            await eventually(lambda: KEY not in first._local)


async def test_a_slow_reader_in_another_process_puts_nothing_back(
    valkey: Valkey, truth: Truth
) -> None:
    async with process(valkey) as writer, process(valkey) as reader:
        truth.answer.clear()
        slow = asyncio.create_task(truth.read_by(reader))
        await eventually(lambda: truth.reads == 1)
        truth.value = b"two"
        await writer.forget(KEY, TTL_SECONDS)
        truth.answer.set()
        assert await slow == b"one"

        assert await truth.read_by(writer) == b"two"
        await eventually(lambda: KEY not in reader._local)
        assert await truth.read_by(reader) == b"two"


async def test_a_reader_who_meets_the_old_value_while_it_is_being_forgotten_keeps_nothing(
    truth: Truth,
) -> None:
    redis = SlowToForget("redis://nobody-is-asked", b"m" * 32)
    cache = CacheService(redis)
    redis.old = b"one"
    truth.value = b"two"

    # The reader begins after the first drop and before Redis has heard of it.
    forgetting = asyncio.create_task(cache.forget(KEY, TTL_SECONDS))
    await asyncio.sleep(0)
    assert await truth.read_by(cache) == b"one"
    redis.has_heard.set()
    await forgetting

    assert await truth.read_by(cache) == b"two"
    await cache.stop()


async def test_in_front_of_redis_nothing_is_held_longer_than_a_lost_notice_may_cost(
    valkey: Valkey, truth: Truth, hands: Hands
) -> None:
    async with process(valkey, hands) as cache:
        await truth.read_by(cache)
        valkey.flush()
        truth.value = b"two"

        hands.seconds += LOCAL_TTL_SECONDS_MAX

        assert await truth.read_by(cache) == b"two"


async def test_while_redis_is_away_every_answer_is_the_truth(valkey: Valkey, truth: Truth) -> None:
    async with process(valkey) as cache:
        await truth.read_by(cache)
        valkey.kill()
        await eventually(lambda: KEY not in cache._local)

        for number in range(5):
            truth.value = b"%d" % number
            assert await truth.read_by(cache) == truth.value


async def test_a_change_made_while_redis_was_away_is_seen_by_all_when_it_is_back(
    valkey: Valkey, truth: Truth
) -> None:
    async with process(valkey) as first, process(valkey) as second:
        await truth.read_by(first)
        await truth.read_by(second)
        assert first._remote is not None
        first._remote._operation_seconds_max = 0.05
        valkey.hang()
        truth.value = b"two"
        await first.forget(KEY, TTL_SECONDS)
        assert await truth.read_by(first) == b"two"
        valkey.resume()
        first._remote._operation_seconds_max = 60.0

        await eventually(lambda: first._remote is not None and first._remote.is_used)
        await eventually(lambda: KEY not in second._local)

        assert await truth.read_by(first) == b"two"
        assert await truth.read_by(second) == b"two"
