"""Whatever the settlement does, in whatever order: money is conserved, and nobody is paid twice."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from backend.app.container import Container
from backend.app.enums import Role
from backend.app.schemas.withdrawal_schemas import WithdrawalRequest
from backend.app.services.settlement.retry_plan import TRIES_MAX
from backend.tests.conftest import HandClock
from backend.tests.support.credit import assert_proved, fund, merchant, new_key, principal
from backend.tests.support.databases import copy_of
from backend.tests.support.examples import one_in
from backend.tests.support.fake_connector import FakeConnector
from backend.tests.support.people import Person, person
from backend.tests.support.settings import settings_for_tests
from backend.tests.support.settlements import (
    AWAY,
    LOST,
    LOST_REPLY,
    REFUSED,
    FakeSettlement,
    settle_due,
    settling,
    withdrawal_rows,
)

_FAULTS = st.sampled_from([None, AWAY, LOST, LOST_REPLY, REFUSED])
_AMOUNTS = st.integers(1, 500).map(lambda cents: f"{Decimal(cents) / 100:.2f}")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(
    cluster_url: str, template_database: str
) -> AsyncIterator[tuple[Container, Person]]:
    clock = HandClock()
    async with copy_of(cluster_url, template_database) as url:
        services = Container(settings_for_tests(), url, clock, FakeConnector())
        await services.start()
        root = await person(services, "root", Role.ADMIN)
        await fund(services, root, "100000.00")
        yield services, await merchant(services, root, "mia", "100000.00")
        await services.stop()


async def _figures(services: Container) -> tuple[Decimal, Decimal]:
    """Return what the pool holds, and what merchants have drawn."""
    async with services.database.snapshot() as session:
        found = await session.execute(
            text(
                "SELECT sum(balance) FILTER (WHERE kind = 'pool') AS pool,"
                " coalesce(sum(balance) FILTER (WHERE kind = 'merchant'), 0) AS drawn"
                " FROM ledger_accounts"
            )
        )
        row = found.one()
        return row.pool, row.drawn


async def _is_anything_open(services: Container) -> bool:
    """Tell whether there is a withdrawal that the next courier may take."""
    rows = await withdrawal_rows(services.database)
    return any(row["next_try_at"] or row["state"] in {"requested", "settling"} for row in rows)


@given(
    st.lists(_AMOUNTS, min_size=1, max_size=6),
    st.lists(_FAULTS, max_size=40),
    st.booleans(),
)
@settings(max_examples=one_in(2), suppress_health_check=list(HealthCheck))
async def test_money_is_conserved(
    house: tuple[Container, Person],
    amounts: list[str],
    faults: list[str | None],
    later: bool,
) -> None:
    services, mia = house
    clock = services.clock
    assert isinstance(clock, HandClock)
    settlement = FakeSettlement()
    settlement.next_faults = list(faults)
    pool_before, drawn_before = await _figures(services)
    known = {row["id"] for row in await withdrawal_rows(services.database)}

    async with settling(services.database, clock, settlement, later=later) as credit:
        for amount in amounts:
            await credit.withdrawals.withdraw(
                principal(mia), WithdrawalRequest(amount=amount), new_key()
            )
            clock.advance(seconds=3)
            await settle_due(credit)
        for _ in range(len(faults) + TRIES_MAX):
            if not await _is_anything_open(services):
                break
            clock.advance(minutes=20)
            await settle_due(credit)

    rows = [row for row in await withdrawal_rows(services.database) if row["id"] not in known]
    settled = {row["id"]: row["amount"] for row in rows if row["state"] == "settled"}
    # Those that are given up may have been paid: they keep the money until somebody asks.
    open_ = {row["id"]: row["amount"] for row in rows if row["state"] == "unknown"}
    pool, drawn = await _figures(services)
    assert settled.items() <= settlement.paid.items()
    assert settlement.paid.keys() <= settled.keys() | open_.keys()
    assert {row["state"] for row in rows} <= {"settled", "failed", "unknown"}
    assert all(row["next_try_at"] is None for row in rows if row["state"] == "unknown")
    assert pool_before - pool == drawn - drawn_before == sum((settled | open_).values())
    await assert_proved(services)
