"""Withdrawals on their way out: paid once or given back once, and their callers told."""

import asyncio
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from backend.app.container import Container
from backend.app.errors import IdempotencyInProgress
from backend.app.schemas.withdrawal_schemas import WithdrawalRequest
from backend.app.services.principal import Principal
from backend.app.services.settlement.retry_plan import TRIES_MAX
from backend.app.services.settlement.settlement_desk import CLAIM_LASTS, UNTRIED_FOR
from backend.tests.conftest import HandClock
from backend.tests.support.credit import (
    assert_proved,
    available,
    fund,
    merchant,
    new_key,
    principal,
)
from backend.tests.support.people import Person, audited
from backend.tests.support.settlements import (
    AWAY,
    LOST,
    LOST_REPLY,
    REFUSED,
    FakeSettlement,
    settle_due,
    settling,
)


def _asked(somebody: Person, amount: str) -> tuple[Principal, WithdrawalRequest]:
    return principal(somebody), WithdrawalRequest(amount=amount)


def shown(answer: Any) -> dict[str, Any]:
    return dict(json.loads(answer.body))


async def test_a_caller_is_told_that_his_withdrawal_is_paid_out(till: Any) -> None:
    answer = await till.withdraw("10.00")

    [row] = await till.rows()
    assert (answer.status, shown(answer)["state"]) == (201, "settled")
    assert (row["state"], row["next_try_at"], row["tries"]) == ("settled", None, 1)
    assert till.settlement.paid == {row["id"]: Decimal(10)}
    await assert_proved(till.services)


async def test_the_same_key_is_answered_the_same_again(till: Any) -> None:
    first = await till.withdraw("10.00", "key-one")
    again = await till.withdraw("10.00", "key-one")

    assert (again.status, again.body, again.is_replayed) == (first.status, first.body, True)
    assert len(till.settlement.paid) == 1


async def test_a_double_that_comes_during_the_payout_is_told_to_wait(till: Any) -> None:
    till.settlement.open_door.clear()
    first = asyncio.create_task(till.withdraw("10.00", "key-one"))
    while not till.settlement.asked:
        await asyncio.sleep(0.01)

    with pytest.raises(IdempotencyInProgress):
        await till.withdraw("10.00", "key-one")
    till.settlement.open_door.set()

    assert (await first).status == 201


async def test_what_the_bank_refuses_is_given_back_and_said_so(till: Any) -> None:
    till.settlement.next_faults = [REFUSED]

    answer = await till.withdraw("10.00", "key-one")
    again = await till.withdraw("10.00", "key-one")

    [row] = await till.rows()
    assert (answer.status, shown(answer)["code"]) == (422, "payout-refused")
    assert shown(answer)["withdrawal_id"] == row["id"]
    assert again.body == answer.body
    assert (row["state"], row["reason"]) == ("failed", "refused_by_bank")
    assert await available(till.services, till.root) == Decimal("1000.00")
    await assert_proved(till.services)


@pytest.mark.parametrize("fault", [LOST, LOST_REPLY])
async def test_what_is_not_answered_is_unknown_until_it_was_asked_about_again(
    till: Any, fault: str
) -> None:
    till.settlement.next_faults = [fault]

    answer = await till.withdraw("10.00", "key-one")
    [before] = await till.rows()
    till.clock.advance(seconds=4)
    await settle_due(till.credit)
    again = await till.withdraw("10.00", "key-one")

    [after] = await till.rows()
    assert (answer.status, shown(answer)["state"]) == (202, "unknown")
    assert (before["state"], before["reason"]) == ("unknown", "no_answer")
    assert (after["state"], after["reason"], after["tries"]) == ("settled", None, 2)
    # What was said first is said again, whatever happened in between.
    assert again.body == answer.body
    assert len(till.settlement.paid) == 1
    await assert_proved(till.services)


async def test_while_the_settlement_is_away_nothing_is_given_up(till: Any) -> None:
    till.settlement.next_faults = [AWAY] * (TRIES_MAX + 5)

    answer = await till.withdraw("10.00")
    for _ in range(TRIES_MAX + 4):
        till.clock.advance(seconds=10)
        await settle_due(till.credit)
    [away] = await till.rows()
    till.clock.advance(seconds=10)
    await settle_due(till.credit)

    [back] = await till.rows()
    assert (answer.status, shown(answer)["state"]) == (202, "settling")
    assert (away["state"], away["tries"]) == ("settling", 0)
    assert back["state"] == "settled"


async def test_what_comes_to_nothing_too_often_waits_for_a_person(till: Any) -> None:
    till.settlement.next_faults = [LOST] * TRIES_MAX

    await till.withdraw("10.00")
    for _ in range(TRIES_MAX):
        till.clock.advance(minutes=20)
        await settle_due(till.credit)

    [row] = await till.rows()
    assert (row["state"], row["tries"], row["next_try_at"]) == ("unknown", TRIES_MAX, None)
    assert len(till.settlement.asked) == TRIES_MAX


async def test_the_pauses_between_tries_grow(till: Any) -> None:
    till.settlement.next_faults = [LOST] * 4
    pauses = []

    await till.withdraw("10.00")
    for _ in range(3):
        [row] = await till.rows()
        pauses.append(row["next_try_at"] - till.clock())
        till.clock.moment = row["next_try_at"]
        await settle_due(till.credit)

    assert timedelta(seconds=2) <= pauses[0] <= timedelta(seconds=3)
    assert timedelta(seconds=4) <= pauses[1] <= timedelta(seconds=6)
    assert timedelta(seconds=8) <= pauses[2] <= timedelta(seconds=12)


async def test_a_caller_waits_a_bounded_time_and_is_told_that_it_is_under_way(
    till: Any,
) -> None:
    till.lose_patience()
    till.settlement.open_door.clear()

    answer = await till.withdraw("10.00", "key-one")
    till.settlement.open_door.set()
    while (await till.rows())[0]["state"] != "settled":
        await asyncio.sleep(0.01)
    again = await till.withdraw("10.00", "key-one")

    assert (answer.status, shown(answer)["state"]) == (202, "settling")
    assert again.body == answer.body


async def test_what_was_left_behind_is_taken_up_by_another(
    till: Any, services: Container, clock: HandClock
) -> None:
    till.settlement.open_door.clear()
    caller = asyncio.create_task(till.withdraw("10.00"))
    while not till.settlement.asked:
        await asyncio.sleep(0.01)
    # As if it had been killed: its claim stands, and nobody works on it.
    for batch in till.credit._desk._batches:
        batch.cancel()
    assert (await caller).status == 202

    other = FakeSettlement()
    async with settling(services.database, clock, other) as second:
        await settle_due(second)
        assert other.asked == []
        clock.advance(seconds=CLAIM_LASTS.total_seconds())
        await settle_due(second)

    [row] = await till.rows()
    assert (row["state"], row["tries"]) == ("settled", 2)
    assert list(other.paid) == [row["id"]]


async def test_what_nobody_began_is_begun_after_a_while(
    till: Any, services: Container, clock: HandClock
) -> None:
    # Booked by a process that has no settlement, or died at once.
    root, mia = till.root, till.merchant
    await services.credit.withdrawals.withdraw(*_asked(mia, "20.00"), new_key())

    await settle_due(till.credit)
    assert till.settlement.asked == []
    clock.advance(seconds=UNTRIED_FOR.total_seconds())
    await settle_due(till.credit)

    assert [row["state"] for row in await till.rows()] == ["settled"]
    assert await available(services, root) == Decimal("980.00")


async def test_left_to_the_queue_a_withdrawal_is_answered_at_once_and_paid_later(
    later: Any,
) -> None:
    answer = await later.withdraw("10.00", "key-one")
    asked_before = list(later.settlement.asked)
    await settle_due(later.credit)
    again = await later.withdraw("10.00", "key-one")

    [row] = await later.rows()
    assert (answer.status, shown(answer)["state"]) == (202, "requested")
    assert asked_before == []
    assert row["state"] == "settled"
    assert again.body == answer.body


async def test_two_couriers_never_ask_for_the_same_payout(
    later: Any, services: Container, clock: HandClock
) -> None:
    for _ in range(20):
        await later.withdraw("1.00")

    async with settling(services.database, clock, later.settlement, later=True) as second:
        await asyncio.gather(settle_due(later.credit), settle_due(second))

    assert len(later.settlement.asked) == len(set(later.settlement.asked)) == 20


async def test_a_hundred_callers_are_each_told_of_their_own(till: Any) -> None:
    people = [await merchant(till.services, till.root, f"m{n}", "100.00") for n in range(10)]
    await fund(till.services, till.root, "1000.00")

    answers = await asyncio.gather(
        *(
            till.credit.withdrawals.withdraw(*_asked(people[n % 10], f"1.{n % 100:02d}"), new_key())
            for n in range(100)
        )
    )

    assert {answer.status for answer in answers} == {201}
    assert [shown(answer)["amount"] for answer in answers] == [f"1.{n:02d}" for n in range(100)]
    assert len(till.settlement.paid) == 100
    await assert_proved(till.services)


async def test_the_trail_says_what_happened_and_shows_no_account(till: Any) -> None:
    till.settlement.next_faults = [LOST]

    await till.withdraw("10.00")
    till.clock.advance(seconds=4)
    await settle_due(till.credit)

    trail = await audited(till.services)
    acts = [json.loads(each)["act"] for each in trail if "withdrawal." in each]
    assert acts == [
        "withdrawal.requested",
        "withdrawal.settling",
        "withdrawal.unknown",
        "withdrawal.settled",
    ]
    assert "DE8937" not in "".join(trail)
