"""One key at two processes while its withdrawal is paid out: everybody is told the same."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from backend.app.credit_container import CreditContainer
from backend.app.errors import IdempotencyInProgress, IdempotencyKeyReused
from backend.app.schemas.withdrawal_schemas import WithdrawalRequest
from backend.app.services.idempotency.keyed import Answer
from backend.app.services.settlement.settlement_desk import CLAIM_LASTS
from backend.app.services.withdrawals.conclusion import CALLER_WAITS_AT_MOST
from backend.tests.support.credit import assert_proved, principal
from backend.tests.support.settlements import LOST, REFUSED, settle_due, settling

KEY = "key-one"


@pytest.fixture
async def elsewhere(till: Any) -> AsyncIterator[CreditContainer]:
    """Another process on the same database, with the same settlement."""
    async with settling(till.services.database, till.clock, till.settlement) as other:
        yield other


async def double(till: Any, elsewhere: CreditContainer, amount: str = "10.00") -> Answer:
    return await elsewhere.withdrawals.withdraw(
        principal(till.merchant), WithdrawalRequest(amount=amount), KEY
    )


async def begun(till: Any) -> "asyncio.Task[Answer]":
    """A caller whose payout is under way, and stays so until the door opens."""
    till.settlement.open_door.clear()
    caller = asyncio.create_task(till.withdraw("10.00", KEY))
    while not till.settlement.asked:
        await asyncio.sleep(0.01)
    return caller


async def killed(till: Any, caller: "asyncio.Task[Answer]") -> None:
    """As if the caller's process had been killed: nobody is told, and nothing is written."""
    caller.cancel()
    for batch in till.credit._desk._batches:
        batch.cancel()
    with suppress(asyncio.CancelledError):
        await caller
    till.settlement.open_door.set()


def told(answer: Answer) -> tuple[int, str]:
    body = json.loads(answer.body)
    return answer.status, body.get("state", body.get("code"))


@pytest.mark.parametrize(
    ("fault", "end"),
    [(None, (201, "settled")), (REFUSED, (422, "payout-refused")), (LOST, (202, "unknown"))],
)
async def test_a_double_elsewhere_waits_and_then_hears_what_the_first_caller_heard(
    till: Any, elsewhere: CreditContainer, fault: str | None, end: tuple[int, str]
) -> None:
    till.settlement.next_faults = [fault]
    caller = await begun(till)

    with pytest.raises(IdempotencyInProgress) as refused:
        await double(till, elsewhere)
    with pytest.raises(IdempotencyKeyReused):
        await double(till, elsewhere, "11.00")
    till.settlement.open_door.set()
    first = await caller
    again = await double(till, elsewhere)

    assert refused.value.retry_after_seconds == 1
    assert told(first) == end
    assert (again.status, again.body, again.is_replayed) == (first.status, first.body, True)
    assert len(till.settlement.asked) == 1
    await assert_proved(till.services)


async def test_who_waited_enough_is_told_202_and_so_is_everybody_after_him(
    till: Any, elsewhere: CreditContainer
) -> None:
    till.lose_patience()
    first = await (await begun(till))
    till.settlement.open_door.set()
    while (await till.rows())[0]["state"] != "settled":
        await asyncio.sleep(0.01)

    again = await double(till, elsewhere)

    assert told(first) == (202, "settling")
    assert again.body == first.body


async def test_after_a_kill_a_double_waits_its_time_and_is_told_that_it_is_under_way(
    till: Any, elsewhere: CreditContainer
) -> None:
    await killed(till, await begun(till))

    with pytest.raises(IdempotencyInProgress):
        await double(till, elsewhere)
    till.clock.advance(seconds=CALLER_WAITS_AT_MOST.total_seconds())
    first = await double(till, elsewhere)
    till.clock.advance(seconds=CLAIM_LASTS.total_seconds())
    await settle_due(elsewhere)
    again = await till.withdraw("10.00", KEY)

    assert told(first) == (202, "settling")
    assert (await till.rows())[0]["state"] == "settled"
    assert again.body == first.body


async def test_after_a_kill_a_double_is_told_the_end_that_another_process_brought_about(
    till: Any, elsewhere: CreditContainer
) -> None:
    await killed(till, await begun(till))
    till.clock.advance(seconds=CLAIM_LASTS.total_seconds())
    await settle_due(elsewhere)

    first = await double(till, elsewhere)
    again = await till.withdraw("10.00", KEY)

    assert told(first) == (201, "settled")
    assert again.body == first.body
    assert list(till.settlement.paid.values()) == [Decimal(10)]
    await assert_proved(till.services)


async def test_a_caller_who_is_still_there_is_told_what_a_double_was_told_before_him(
    till: Any, elsewhere: CreditContainer
) -> None:
    caller = await begun(till)
    # His process is slow beyond measure, or the clocks of the two differ.
    till.clock.advance(seconds=CALLER_WAITS_AT_MOST.total_seconds())

    second = await double(till, elsewhere)
    till.settlement.open_door.set()
    first = await caller

    assert told(second) == (202, "settling")
    assert (first.status, first.body, first.is_replayed) == (second.status, second.body, False)
    assert (await till.rows())[0]["state"] == "settled"


async def test_fifty_doubles_at_two_processes_hear_one_answer(
    till: Any, elsewhere: CreditContainer
) -> None:
    async def ask(number: int) -> Answer:
        while True:
            try:
                if number % 2:
                    return await double(till, elsewhere)
                return await till.withdraw("10.00", KEY)
            except IdempotencyInProgress:
                await asyncio.sleep(0.01)

    answers = await asyncio.gather(*(ask(number) for number in range(50)))

    assert {(answer.status, answer.body) for answer in answers} == {
        (201, answers[0].body),
    }
    assert sorted(answer.is_replayed for answer in answers) == [False] + [True] * 49
    assert len(await till.rows()) == len(till.settlement.paid) == 1
    await assert_proved(till.services)
