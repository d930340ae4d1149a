"""The dead-letter list: seen and requeued by administrators, on the record."""

import json
from collections.abc import AsyncIterator

import pytest
from httpx2 import AsyncClient

from backend.app.container import Container
from backend.app.credit_container import CreditContainer
from backend.app.enums import Role
from backend.app.schemas.withdrawal_schemas import WithdrawalRequest
from backend.app.services.settlement.retry_plan import TRIES_MAX
from backend.tests.conftest import HandClock
from backend.tests.support.credit import assert_proved, fund, merchant, new_key, principal
from backend.tests.support.people import Person, audited, person
from backend.tests.support.settlements import (
    LOST,
    LOST_REPLY,
    FakeSettlement,
    settle_due,
    settling,
    withdrawal_rows,
)

DEAD = "/api/v1/admin/settlements/dead"


def requeue(withdrawal_id: int) -> str:
    return f"/api/v1/admin/settlements/{withdrawal_id}/requeue"


@pytest.fixture
def settlement() -> FakeSettlement:
    return FakeSettlement()


@pytest.fixture
async def credit(
    services: Container, clock: HandClock, settlement: FakeSettlement
) -> AsyncIterator[CreditContainer]:
    async with settling(services.database, clock, settlement) as running:
        yield running


@pytest.fixture
async def root(services: Container) -> Person:
    return await person(services, "root", Role.ADMIN)


async def given_up(
    services: Container, credit: CreditContainer, clock: HandClock, root: Person
) -> int:
    """Let a withdrawal come to nothing so often that nobody tries it any more."""
    await fund(services, root, "100.00")
    mia = await merchant(services, root, "mia")
    await credit.withdrawals.withdraw(principal(mia), WithdrawalRequest(amount="10.00"), new_key())
    for _ in range(TRIES_MAX):
        clock.advance(minutes=20)
        await settle_due(credit)
    [row] = await withdrawal_rows(services.database)
    return int(row["id"])


async def test_what_is_given_up_is_listed_and_after_requeueing_asked_about_before_it_is_paid(
    services: Container,
    client: AsyncClient,
    credit: CreditContainer,
    settlement: FakeSettlement,
    clock: HandClock,
    root: Person,
) -> None:
    # The bank had paid at the very first try, and nobody ever heard of it.
    settlement.next_faults = [LOST_REPLY] + [LOST] * (TRIES_MAX - 1)
    withdrawal_id = await given_up(services, credit, clock, root)

    root = await person(services, "later", Role.ADMIN)
    [dead] = (await client.get(DEAD, headers=root.headers)).json()["items"]
    requeued = await client.post(requeue(withdrawal_id), headers=root.headers)
    await settle_due(credit)
    left = (await client.get(DEAD, headers=root.headers)).json()["items"]

    assert (dead["withdrawal_id"], dead["state"], dead["reason"]) == (
        withdrawal_id,
        "unknown",
        "no_answer",
    )
    assert (dead["tries"], dead["amount"]) == (TRIES_MAX, "10.00")
    assert "DE89370400440532013000" not in json.dumps(dead)
    assert requeued.status_code == 200
    assert left == []
    assert len(settlement.paid) == 1
    assert [row["state"] for row in await withdrawal_rows(services.database)] == ["settled"]
    assert any('"act":"withdrawal.requeued"' in line for line in await audited(services))
    await assert_proved(services)


async def test_what_is_tried_anyway_or_decided_cannot_be_requeued(
    services: Container,
    client: AsyncClient,
    credit: CreditContainer,
    settlement: FakeSettlement,
    clock: HandClock,
    root: Person,
) -> None:
    settlement.next_faults = [LOST] * TRIES_MAX
    withdrawal_id = await given_up(services, credit, clock, root)

    root = await person(services, "later", Role.ADMIN)
    first = await client.post(requeue(withdrawal_id), headers=root.headers)
    waiting = await client.post(requeue(withdrawal_id), headers=root.headers)
    await settle_due(credit)
    decided = await client.post(requeue(withdrawal_id), headers=root.headers)

    assert first.status_code == 200
    assert (waiting.status_code, decided.status_code) == (409, 409)
    assert decided.json()["code"] == "settlement-not-given-up"


async def test_only_administrators_see_and_requeue(
    services: Container, client: AsyncClient
) -> None:
    mia = await person(services, "mia", Role.MERCHANT)

    seen = await client.get(DEAD, headers=mia.headers)
    tried = await client.post(requeue(1), headers=mia.headers)

    assert (seen.status_code, tried.status_code) == (403, 403)
