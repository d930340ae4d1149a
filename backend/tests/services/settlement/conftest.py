"""Merchants with credit, and a settlement that does what a test says."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from backend.app.container import Container
from backend.app.credit_container import CreditContainer
from backend.app.enums import Role
from backend.app.schemas.withdrawal_schemas import WithdrawalRequest
from backend.app.services.idempotency.keyed import Answer
from backend.app.services.settlement.settlement_desk import SettlementDesk
from backend.app.services.withdrawals.decision import WithdrawalAsked
from backend.app.services.withdrawals.settlement import NoSettlement
from backend.tests.conftest import HandClock
from backend.tests.support.credit import fund, merchant, new_key, principal
from backend.tests.support.people import Person, person
from backend.tests.support.settlements import FakeSettlement, settling, withdrawal_rows
from backend.tests.support.valkey import eventually


@dataclass
class Till:
    """A merchant at a till, with everything behind it."""

    services: Container
    credit: CreditContainer
    settlement: FakeSettlement
    clock: HandClock
    root: Person
    merchant: Person

    async def withdraw(self, amount: str = "10.00", key: str | None = None) -> Answer:
        return await self.credit.withdrawals.withdraw(
            principal(self.merchant), WithdrawalRequest(amount=amount), key or new_key()
        )

    async def rows(self) -> list[dict[str, Any]]:
        return await withdrawal_rows(self.services.database)

    def lose_patience(self) -> None:
        """Let callers wait for a moment only, from when the settlement is asked."""
        assert self.credit._desk is not None
        self.credit._desk._caller_wait_seconds_max = 0.01
        self.credit.withdrawals._settlement = OnceAsked(self.credit._desk, self.settlement)


class OnceAsked(NoSettlement):
    """A desk whose callers begin to wait when their payout is under way, and not before."""

    def __init__(self, desk: SettlementDesk, settlement: FakeSettlement) -> None:
        self._desk = desk
        self._settlement = settlement

    async def concluded(self, asked: WithdrawalAsked, answer: Answer) -> Answer:
        await eventually(lambda: bool(self._settlement.asked))
        return await self._desk.concluded(asked, answer)


@pytest.fixture
def settlement() -> FakeSettlement:
    return FakeSettlement()


@pytest.fixture
async def opened(services: Container) -> tuple[Person, Person]:
    root = await person(services, "root", Role.ADMIN)
    await fund(services, root, "1000.00")
    return root, await merchant(services, root, "mia", "500.00")


@pytest.fixture
async def till(
    services: Container,
    settlement: FakeSettlement,
    clock: HandClock,
    opened: tuple[Person, Person],
) -> AsyncIterator[Till]:
    async with settling(services.database, clock, settlement) as credit:
        yield Till(services, credit, settlement, clock, *opened)


@pytest.fixture
async def later(
    services: Container,
    settlement: FakeSettlement,
    clock: HandClock,
    opened: tuple[Person, Person],
) -> AsyncIterator[Till]:
    """The same, where withdrawals are left to the queue."""
    async with settling(services.database, clock, settlement, later=True) as credit:
        yield Till(services, credit, settlement, clock, *opened)
