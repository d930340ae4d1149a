"""Passwords: slow to guess, quick to refuse, and alike for everybody."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from pydantic import SecretStr

from backend.app.errors import PasswordQueueFull, PasswordRefused
from backend.app.services.common_passwords import COMMON_PASSWORDS
from backend.app.services.password_service import (
    LANES,
    MEMORY_KIB,
    PASSES,
    QUEUE_MAX,
    THREADS,
    PasswordService,
    new_password,
    refuse_guessable,
)

RIGHT = SecretStr("correct horse battery")
WRONG = SecretStr("incorrect horse battery")


class CountingHasher:
    """Hashes nothing, but counts how often it is asked and can be held up."""

    def __init__(self) -> None:
        self.verified: list[str] = []
        self.go = threading.Event()
        self.go.set()

    def hash(self, password: str) -> str:
        return f"hash of {password}"

    def verify(self, hash: str, password: str) -> bool:  # noqa: A002
        self.verified.append(hash)
        self.go.wait(timeout=30)
        if hash != f"hash of {password}":
            raise VerifyMismatchError
        return True

    def check_needs_rehash(self, hash: str) -> bool:  # noqa: A002
        return False


class YesSayer(CountingHasher):
    """Finds every password right."""

    def verify(self, hash: str, password: str) -> bool:  # noqa: A002
        return True


@pytest.fixture
def hasher() -> CountingHasher:
    return CountingHasher()


@pytest.fixture
def counted(hasher: CountingHasher) -> Iterator[PasswordService]:
    service = PasswordService(hasher)
    yield service
    hasher.go.set()
    service.close()


@pytest.fixture
def passwords() -> Iterator[PasswordService]:
    service = PasswordService()
    yield service
    service.close()


async def test_only_the_right_password_matches_its_hash(passwords: PasswordService) -> None:
    stored = await passwords.hash(RIGHT)

    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (await passwords.check(stored, RIGHT)).matches
    assert not (await passwords.check(stored, WRONG)).matches


async def test_the_same_password_never_hashes_alike(passwords: PasswordService) -> None:
    assert await passwords.hash(RIGHT) != await passwords.hash(RIGHT)


async def test_a_hash_of_older_parameters_is_made_anew(passwords: PasswordService) -> None:
    aged = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1)

    checked = await passwords.check(aged.hash(RIGHT.get_secret_value()), RIGHT)

    assert checked.matches
    assert checked.better_hash is not None
    assert (await passwords.check(checked.better_hash, RIGHT)).better_hash is None


async def test_a_damaged_hash_matches_nothing(passwords: PasswordService) -> None:
    assert not (await passwords.check("not a hash", RIGHT)).matches


async def test_a_name_nobody_has_costs_one_verification_as_any_other(
    counted: PasswordService, hasher: CountingHasher
) -> None:
    await counted.check(hasher.hash(RIGHT.get_secret_value()), WRONG)
    await counted.check(None, WRONG)

    assert len(hasher.verified) == 2


async def test_nobodys_hash_is_one_that_is_checked_in_full(
    counted: PasswordService, hasher: CountingHasher, passwords: PasswordService
) -> None:
    await counted.check(None, WRONG)
    (nobodys,) = hasher.verified
    real = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
    stored = await passwords.hash(RIGHT)

    assert [len(part) for part in nobodys.split("$")] == [len(part) for part in stored.split("$")]
    assert not real.check_needs_rehash(nobodys)
    with pytest.raises(VerifyMismatchError):
        real.verify(nobodys, WRONG.get_secret_value())


async def test_no_password_matches_nobody() -> None:
    service = PasswordService(YesSayer())

    checked = await service.check(None, WRONG)
    service.close()

    assert not checked.matches


async def test_more_logins_than_may_wait_are_refused_at_once(
    counted: PasswordService, hasher: CountingHasher
) -> None:
    hasher.go.clear()
    waiting = [asyncio.create_task(counted.check(None, WRONG)) for _ in range(THREADS + QUEUE_MAX)]
    await asyncio.sleep(0)

    with pytest.raises(PasswordQueueFull) as refused:
        await counted.check(None, WRONG)
    hasher.go.set()
    await asyncio.gather(*waiting)

    assert refused.value.retry_after_seconds is not None
    assert not (await counted.check(None, WRONG)).matches


async def test_a_caller_who_gives_up_leaves_room_when_the_work_is_dropped(
    counted: PasswordService, hasher: CountingHasher
) -> None:
    hasher.go.clear()
    waiting = [asyncio.create_task(counted.check(None, WRONG)) for _ in range(THREADS + QUEUE_MAX)]
    await asyncio.sleep(0)

    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    hasher.go.set()

    assert not (await counted.check(None, WRONG)).matches


@pytest.mark.parametrize(
    "password",
    ["password123", "PassWord123", "qwertyuiop", "my Strongroom key", "xxALICEyy", "12345678"],
)
def test_a_password_that_is_guessed_early_is_refused(password: str) -> None:
    with pytest.raises(PasswordRefused) as refused:
        refuse_guessable(SecretStr(password), "alice")

    assert password not in refused.value.detail


def test_a_long_sentence_and_a_made_password_pass() -> None:
    refuse_guessable(SecretStr("seven grey herons over the lock"), "alice")
    refuse_guessable(new_password(), "alice")


def test_the_common_list_holds_only_what_the_length_rule_lets_through() -> None:
    assert len(COMMON_PASSWORDS) > 300
    assert all(len(each) >= 8 and each == each.lower() for each in COMMON_PASSWORDS)
