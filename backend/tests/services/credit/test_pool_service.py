"""Pools: made, topped up, drawn down as far as they hold, and their history."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest

from backend.app.container import Container
from backend.app.enums import Role
from backend.app.errors import IdempotencyInProgress, PoolExists, PoolNotFound, TooManyPools
from backend.app.schemas.merchant_schemas import HistoryQuery, PoolChange, PoolCreate
from backend.app.services.credit.pool_service import POOLS_MAX, PoolService
from backend.app.services.idempotency.keyed import Answer
from backend.app.services.principal import Principal
from backend.tests.support.credit import assert_proved, available, merchant, principal, withdraw
from backend.tests.support.people import Person, audited, person


@pytest.fixture
async def root(services: Container) -> Person:
    return await person(services, "root", Role.ADMIN)


@pytest.fixture
def admin(root: Person) -> Principal:
    return principal(root, Role.ADMIN)


@pytest.fixture
def pools(services: Container) -> PoolService:
    return services.credit.pools


def change(amount: str, pool: str = "default") -> PoolChange:
    return PoolChange(amount=amount, pool=pool)


def said(answer: Answer) -> dict[str, Any]:
    return dict(json.loads(answer.body))


async def test_there_is_one_default_pool_and_others_stand_beside_it(
    services: Container, pools: PoolService, root: Person, admin: Principal
) -> None:
    made = await pools.create(admin, PoolCreate(name="second"))
    await pools.top_up(admin, change("5.00", "second"), None)

    found = [(each.name, each.is_default, each.available_amount) for each in await pools.pools()]
    assert (made.is_default, made.available_amount) == (False, 0)
    assert found == [("default", True, 0), ("second", False, 5)]
    with pytest.raises(PoolExists):
        await pools.create(admin, PoolCreate(name="second"))
    await assert_proved(services)


async def test_no_more_pools_are_made_than_the_house_keeps(
    pools: PoolService, admin: Principal
) -> None:
    for number in range(POOLS_MAX - 1):
        await pools.create(admin, PoolCreate(name=f"pool-{number}"))

    with pytest.raises(TooManyPools):
        await pools.create(admin, PoolCreate(name="one-too-many"))

    assert len(await pools.pools()) == POOLS_MAX


async def test_a_pool_is_drawn_down_to_the_cent_and_no_further(
    services: Container, pools: PoolService, root: Person, admin: Principal
) -> None:
    await pools.top_up(admin, change("50.00"), None)

    refused = await pools.draw_down(admin, change("50.01"), "down")
    drawn = await pools.draw_down(admin, change("50.00"), None)

    assert (refused.status, said(refused)["available"]) == (409, "50.00")
    assert (drawn.status, said(drawn)["available_amount"]) == (200, "0.00")
    await assert_proved(services)


async def test_what_merchants_have_drawn_cannot_be_taken_out_of_the_pool(
    services: Container, pools: PoolService, root: Person, admin: Principal
) -> None:
    await pools.top_up(admin, change("50.00"), None)
    shop = await merchant(services, root, "shop", "100.00")

    answers = await asyncio.gather(
        *(withdraw(services, shop, "10.00") for _ in range(5)),
        *(pools.draw_down(admin, change("10.00"), f"down-{n}") for n in range(5)),
    )

    assert sum(answer.status < 300 for answer in answers) == 5
    assert await available(services, root) == 0
    await assert_proved(services)


async def test_of_many_top_ups_under_one_key_one_counts(
    services: Container, pools: PoolService, root: Person, admin: Principal
) -> None:
    async def ask() -> Answer:
        while True:
            try:
                return await pools.top_up(admin, change("5.00"), "one")
            except IdempotencyInProgress:
                await asyncio.sleep(0.01)

    answers = await asyncio.gather(*(ask() for _ in range(10)))

    assert len({answer.body for answer in answers}) == 1
    assert sum(answer.is_replayed for answer in answers) == 9
    assert await available(services, root) == Decimal(5)


async def test_a_top_up_and_a_drawdown_may_share_a_key(
    services: Container, pools: PoolService, root: Person, admin: Principal
) -> None:
    up = await pools.top_up(admin, change("5.00"), "shared")
    down = await pools.draw_down(admin, change("5.00"), "shared")

    assert [up.is_replayed, down.is_replayed] == [False, False]
    assert await available(services, root) == 0


async def test_a_pool_that_is_not_there_is_not_found(pools: PoolService, admin: Principal) -> None:
    with pytest.raises(PoolNotFound):
        await pools.top_up(admin, change("5.00", "nowhere"), None)
    with pytest.raises(PoolNotFound):
        await pools.history(HistoryQuery(pool="nowhere"))


async def test_a_history_tells_each_movement_with_the_balance_after_it_page_by_page(
    services: Container, pools: PoolService, root: Person, admin: Principal
) -> None:
    for amount in ("5.00", "7.00"):
        await pools.top_up(admin, change(amount), None)
    await pools.draw_down(admin, change("2.50"), None)

    first = await pools.history(HistoryQuery(limit=2))
    rest = await pools.history(HistoryQuery(limit=2, cursor=int(first.next_cursor or 0)))

    lines = [(line.kind, line.amount, line.balance) for line in first.items + rest.items]
    assert lines == [
        ("topup", 5, 5),
        ("topup", 7, 12),
        ("drawdown", Decimal("-2.5"), Decimal("9.5")),
    ]
    assert rest.next_cursor is None
    trail = "".join(await audited(services))
    assert (trail.count("pool.topped_up"), trail.count("pool.drawn_down")) == (2, 1)
