"""Withdrawals race for one pool: each counts once or not at all, and the books agree."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal

import pytest
from sqlalchemy import text

from backend.app.config import Settings
from backend.app.container import Container
from backend.app.enums import Role
from backend.app.errors import (
    DatabaseUnavailable,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    WithdrawalQueueFull,
)
from backend.app.repositories.withdrawal_book import OpenBook, WithdrawalBook
from backend.app.services.idempotency.keyed import Answer
from backend.app.services.withdrawals import withdrawal_writer
from backend.app.services.withdrawals.decision import WithdrawalAsked
from backend.tests.conftest import HandClock
from backend.tests.support.credit import (
    assert_proved,
    available,
    credit_of,
    fund,
    merchant,
    new_key,
    principal,
    withdraw,
)
from backend.tests.support.people import Person, person

ROUNDS = 12


@pytest.fixture
async def root(services: Container) -> Person:
    # Nobody is to wait too long here; a busy machine takes its time.
    services.credit._writer._wait_seconds_max = 60.0
    return await person(services, "root", Role.ADMIN)


@pytest.fixture
async def second(
    settings: Settings, database_url: str, services: Container, clock: HandClock
) -> AsyncIterator[Container]:
    """Another process on the same database."""
    container = Container(settings, database_url, clock)
    container.credit._writer._wait_seconds_max = 60.0
    await container.open()
    yield container
    await container.stop()


async def merchants(services: Container, root: Person, number: int, limit: str) -> list[Person]:
    return [await merchant(services, root, f"m{n}", limit) for n in range(number)]


async def test_of_five_hundred_that_race_exactly_those_the_pool_covers_succeed(
    services: Container, root: Person
) -> None:
    people = await merchants(services, root, 10, "1000.00")
    await fund(services, root, "3000.00")

    answers = await asyncio.gather(
        *(withdraw(services, people[n % 10], "10.00") for n in range(500))
    )

    assert Counter(answer.status for answer in answers) == {201: 300, 409: 200}
    refusals = {json.loads(a.body)["code"] for a in answers if a.status == 409}
    assert refusals == {"pool-short"}
    assert await available(services, root) == 0
    await assert_proved(services)


async def test_two_processes_that_race_for_one_pool_draw_no_more_than_it_holds(
    services: Container, second: Container, root: Person
) -> None:
    people = await merchants(services, root, 10, "1000.00")
    await fund(services, root, "3000.00")

    answers = await asyncio.gather(
        *(withdraw((services, second)[n % 2], people[n % 10], "10.00") for n in range(500))
    )

    assert Counter(answer.status for answer in answers) == {201: 300, 409: 200}
    assert await available(services, root) == 0
    await assert_proved(services)


async def test_a_merchant_never_draws_more_than_his_limit(
    services: Container, root: Person
) -> None:
    (alice,) = await merchants(services, root, 1, "100.00")
    await fund(services, root, "10000.00")

    answers = await asyncio.gather(*(withdraw(services, alice, "0.30") for _ in range(400)))

    assert Counter(answer.status for answer in answers) == {201: 333, 409: 67}
    refusal = next(json.loads(a.body) for a in answers if a.status == 409)
    assert (refusal["code"], refusal["available"]) == ("credit-exceeded", "0.10")
    assert (await credit_of(services, root, alice))["utilised"] == "99.90"
    await assert_proved(services)


async def test_within_a_batch_who_comes_first_is_served_first(
    services: Container, root: Person
) -> None:
    first, later = await merchants(services, root, 2, "1000.00")
    await fund(services, root, "100.00")

    answers = await asyncio.gather(
        withdraw(services, first, "60.00"),
        withdraw(services, later, "60.00"),
        withdraw(services, later, "40.00"),
    )

    assert [answer.status for answer in answers] == [201, 409, 201]


async def test_one_key_that_races_fifty_times_counts_once(
    services: Container, root: Person
) -> None:
    (alice,) = await merchants(services, root, 1, "1000.00")
    await fund(services, root, "1000.00")

    async def ask() -> Answer:
        while True:
            try:
                return await withdraw(services, alice, "10.00", "the-key")
            except IdempotencyInProgress:
                await asyncio.sleep(0.01)

    answers = await asyncio.gather(*(ask() for _ in range(50)))

    assert len({answer.body for answer in answers}) == 1
    assert Counter(answer.is_replayed for answer in answers) == {False: 1, True: 49}
    assert (await credit_of(services, root, alice))["utilised"] == "10.00"
    await assert_proved(services)


async def test_one_key_in_two_processes_counts_once(
    services: Container, second: Container, root: Person
) -> None:
    people = await merchants(services, root, 25, "1000.00")
    await fund(services, root, "100000.00")

    pairs = await asyncio.gather(
        *(
            asyncio.gather(
                withdraw(services, each, "10.00", "k"), withdraw(second, each, "10.00", "k")
            )
            for each in people
        )
    )

    assert all(one.body == other.body for one, other in pairs)
    assert all(sorted((a.is_replayed, b.is_replayed)) == [False, True] for a, b in pairs)
    assert await available(services, root) == Decimal(100000 - 250)
    await assert_proved(services)


async def test_a_key_with_another_body_is_refused_also_while_the_first_is_under_way(
    services: Container, root: Person
) -> None:
    (alice,) = await merchants(services, root, 1, "1000.00")
    await fund(services, root, "1000.00")

    first, second = await asyncio.gather(
        withdraw(services, alice, "10.00", "k"),
        withdraw(services, alice, "11.00", "k"),
        return_exceptions=True,
    )
    with pytest.raises(IdempotencyKeyReused):
        await withdraw(services, alice, "12.00", "k")

    assert getattr(first, "status", None) == 201
    assert isinstance(second, IdempotencyKeyReused)
    assert (await credit_of(services, root, alice))["utilised"] == "10.00"


async def test_a_refusal_that_was_decided_is_the_answer_for_good(
    services: Container, root: Person
) -> None:
    (alice,) = await merchants(services, root, 1, "1000.00")

    refused = await withdraw(services, alice, "10.00", "k")
    await fund(services, root, "1000.00")
    again = await withdraw(services, alice, "10.00", "k")

    assert (refused.status, again.status) == (409, 409)
    assert (again.body, again.is_replayed) == (refused.body, True)
    assert (await withdraw(services, alice, "10.00")).status == 201


async def test_a_request_that_cannot_be_booked_does_not_fail_its_batch_mates(
    services: Container, root: Person
) -> None:
    people = await merchants(services, root, 10, "1000.00")
    await fund(services, root, "1000.00")
    poisoned = WithdrawalAsked(principal(people[0]), "poison", b"\0" * 32, Decimal("NaN"))

    *answers, failed = await asyncio.gather(
        *(withdraw(services, each, "10.00") for each in people),
        services.credit._writer.book(poisoned),
        return_exceptions=True,
    )

    assert [getattr(each, "status", each) for each in answers] == [201] * 10
    assert isinstance(failed, ArithmeticError)
    assert (await withdraw(services, people[0], "1.00")).status == 201
    await assert_proved(services)


async def test_the_writer_outlives_a_request_that_cannot_be_booked_and_whose_caller_left(
    services: Container, root: Person
) -> None:
    (alice,) = await merchants(services, root, 1, "1000.00")
    await fund(services, root, "1000.00")
    book = services.credit._writer._book
    poisoned = WithdrawalAsked(principal(alice), "poison", b"\0" * 32, Decimal("NaN"))

    class Leaving:
        """The book, whose first reader sees the caller hang up."""

        def opened(self) -> AbstractAsyncContextManager[OpenBook]:
            asking.cancel()
            return book.opened()

        def close(self) -> None:
            book.close()

    services.credit._writer._book = Leaving()  # type: ignore[assignment]
    asking = asyncio.create_task(services.credit._writer.book(poisoned))
    await asyncio.wait({asking})
    async with asyncio.timeout(60):
        answer = await withdraw(services, alice, "10.00")

    assert asking.cancelled()
    assert answer.status == 201


async def test_a_connection_lost_while_committing_is_asked_about_and_not_guessed(
    services: Container, root: Person
) -> None:
    (alice,) = await merchants(services, root, 1, "1000.00")
    await fund(services, root, "1000.00")
    book = services.credit._writer._book
    lost: list[str] = []

    class Losing:
        """The book, whose commit succeeds and whose answer gets lost, once."""

        def opened(self) -> AbstractAsyncContextManager[OpenBook]:
            return committed_and_lost(book, lost)

        def close(self) -> None:
            book.close()

    services.credit._writer._book = Losing()  # type: ignore[assignment]
    answer = await withdraw(services, alice, "10.00", "k")

    assert lost == ["committed"]
    assert (answer.status, answer.is_replayed) == (201, False)
    assert (await credit_of(services, root, alice))["utilised"] == "10.00"
    assert (await withdraw(services, alice, "10.00", "k")).body == answer.body
    await assert_proved(services)


@asynccontextmanager
async def committed_and_lost(book: WithdrawalBook, lost: list[str]) -> AsyncIterator[OpenBook]:
    async with book.opened() as opened:
        yield opened
    if not lost:
        lost.append("committed")
        raise DatabaseUnavailable(retry_after_seconds=2)


async def test_backends_killed_again_and_again_lose_nothing_and_double_nothing(
    services: Container, root: Person
) -> None:
    people = await merchants(services, root, 20, "1000.00")
    await fund(services, root, "100000.00")
    enough = asyncio.Event()

    async def kill() -> None:
        while not enough.is_set():
            async with services.database.transaction() as session:
                await session.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                        " AND (query LIKE '%withdrawals_id_seq%' OR query LIKE 'COMMIT%'"
                        "  OR query LIKE '%INTO withdrawals%')"
                    )
                )
            await asyncio.sleep(0.003)

    async def ask(somebody: Person, key: str) -> Answer:
        while True:
            try:
                return await withdraw(services, somebody, "1.00", key)
            except (DatabaseUnavailable, IdempotencyInProgress):
                await asyncio.sleep(0.001)

    killing = asyncio.create_task(kill())
    for round_ in range(ROUNDS):
        answers = await asyncio.gather(*(ask(each, f"k{round_}") for each in people))
        assert {answer.status for answer in answers} == {201}
    enough.set()
    await killing

    assert await available(services, root) == Decimal(100000 - 20 * ROUNDS)
    await assert_proved(services)


async def test_a_full_queue_refuses_and_nothing_happens(services: Container, root: Person) -> None:
    (alice,) = await merchants(services, root, 1, "1000.00")
    await fund(services, root, "1000.00")
    writer = services.credit._writer
    assert writer._queue_max == withdrawal_writer.QUEUE_WITHDRAWALS_MAX
    # A queue as long as that takes a slow machine longer to book than anybody may wait in it.
    writer._queue_max = 40

    answers = await asyncio.gather(
        *(withdraw(services, alice, "1.00", f"k{n}") for n in range(40 + 25)),
        return_exceptions=True,
    )

    full = [each for each in answers if isinstance(each, WithdrawalQueueFull)]
    assert len(full) == 25
    assert {each.retry_after_seconds for each in full} == {2}
    assert (await credit_of(services, root, alice))["utilised"] == "40.00"


async def test_who_gives_up_waiting_and_asks_again_is_booked_once(
    services: Container, root: Person
) -> None:
    (alice,) = await merchants(services, root, 1, "1000.00")
    await fund(services, root, "1000.00")

    waiting = asyncio.create_task(withdraw(services, alice, "10.00", "k"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    again = await withdraw(services, alice, "10.00", "k")

    assert again.status == 201
    assert (await credit_of(services, root, alice))["utilised"] == "10.00"


async def test_a_stop_books_what_waits(services: Container, root: Person) -> None:
    people = await merchants(services, root, 5, "1000.00")
    await fund(services, root, "1000.00")

    waiting = [asyncio.create_task(withdraw(services, each, "1.00", new_key())) for each in people]
    await asyncio.sleep(0)
    await services.credit.stop()

    assert [answer.status for answer in await asyncio.gather(*waiting)] == [201] * 5
    with pytest.raises(WithdrawalQueueFull):
        await withdraw(services, people[0], "1.00")
