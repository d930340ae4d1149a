"""Reads that are gathered: each is answered with what is stored after it was asked."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from backend.app.errors import DatabaseUnavailable
from backend.app.services.gathered_reads import READ_KEYS_MAX, WAITING_KEYS_MAX, GatheredReads


class Store:
    """Something slow to read, that remembers what it was asked at once."""

    def __init__(self) -> None:
        self.values: dict[int, str] = {}
        self.asked: list[list[int]] = []
        self.remembered: dict[int, str] = {}
        self.may_answer = asyncio.Event()
        self.fails = False

    async def read(self, keys: Sequence[int]) -> Mapping[int, str]:
        self.asked.append(list(keys))
        found = {key: self.values[key] for key in keys if key in self.values}
        await self.may_answer.wait()
        if self.fails:
            raise DatabaseUnavailable
        return found

    def remember(self, key: int, value: str) -> None:
        self.remembered[key] = value


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def reads(store: Store) -> GatheredReads[int, str]:
    return GatheredReads(store.read, store.remember)


async def begun(store: Store) -> None:
    while not store.asked:
        await asyncio.sleep(0)


async def test_what_is_asked_meanwhile_is_read_together(
    store: Store, reads: GatheredReads[int, str]
) -> None:
    store.values = {1: "one", 2: "two", 3: "three"}
    first = asyncio.create_task(reads.get(1))
    await begun(store)
    rest = [asyncio.create_task(reads.get(key)) for key in (2, 3, 4, 2)]
    await asyncio.sleep(0)
    store.may_answer.set()

    assert await asyncio.gather(first, *rest) == ["one", "two", "three", None, "two"]
    assert store.asked == [[1], [2, 3, 4]]
    assert store.remembered == store.values


async def test_what_changes_while_it_is_read_is_neither_remembered_nor_joined(
    store: Store, reads: GatheredReads[int, str]
) -> None:
    store.values = {1: "old"}
    before = asyncio.create_task(reads.get(1))
    await begun(store)
    store.values[1] = "new"
    reads.changed(1)
    after = asyncio.create_task(reads.get(1))
    await asyncio.sleep(0)
    store.may_answer.set()

    assert await before == "old"
    assert await after == "new"
    assert store.remembered == {1: "new"}


async def test_everything_may_change_at_once(store: Store, reads: GatheredReads[int, str]) -> None:
    store.values = {1: "old"}
    before = asyncio.create_task(reads.get(1))
    await begun(store)
    reads.everything_changed()
    store.may_answer.set()

    assert await before == "old"
    assert store.remembered == {}


async def test_a_failed_read_is_told_to_all_who_wait_for_it_and_not_to_the_next(
    store: Store, reads: GatheredReads[int, str]
) -> None:
    store.values, store.fails = {1: "one"}, True
    store.may_answer.set()
    waiting = [asyncio.create_task(reads.get(1)) for _ in range(2)]
    for each in waiting:
        with pytest.raises(DatabaseUnavailable):
            await each
    store.fails = False

    assert await reads.get(1) == "one"


async def test_a_read_takes_a_bounded_number_of_keys(
    store: Store, reads: GatheredReads[int, str]
) -> None:
    store.may_answer.set()
    await asyncio.gather(*(reads.get(key) for key in range(READ_KEYS_MAX + 1)))

    assert [len(keys) for keys in store.asked] == [READ_KEYS_MAX, 1]


async def test_too_many_who_wait_are_refused(store: Store, reads: GatheredReads[int, str]) -> None:
    first = asyncio.create_task(reads.get(-1))
    await begun(store)
    waiting = [asyncio.create_task(reads.get(key)) for key in range(WAITING_KEYS_MAX)]
    await asyncio.sleep(0)

    with pytest.raises(DatabaseUnavailable):
        await reads.get(WAITING_KEYS_MAX)
    store.may_answer.set()
    await asyncio.gather(first, *waiting)


async def test_a_caller_who_hangs_up_takes_nobody_along(
    store: Store, reads: GatheredReads[int, str]
) -> None:
    store.values = {1: "one"}
    impatient, patient = (asyncio.create_task(reads.get(1)) for _ in range(2))
    await begun(store)
    impatient.cancel()
    store.may_answer.set()

    assert await patient == "one"
