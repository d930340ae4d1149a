"""Administrators deciding about merchants: approve, change, suspend, resume, and be told no."""

import asyncio
from decimal import Decimal

import pytest

from backend.app.audit_record import Act
from backend.app.container import Container
from backend.app.enums import MerchantState, Role
from backend.app.errors import (
    CreditLimitBelowUse,
    MerchantNotActive,
    MerchantNotFound,
    MerchantNotPending,
    PoolNotFound,
)
from backend.app.schemas.merchant_schemas import Approval, LimitChange
from backend.app.services.credit.merchant_service import MerchantService
from backend.app.services.principal import Principal
from backend.tests.support.credit import (
    BANK_ACCOUNT,
    applicant,
    assert_proved,
    fund,
    merchant,
    principal,
    withdraw,
)
from backend.tests.support.people import Person, audited, person
from backend.tests.support.webhooks import rows

ACCOUNTS = "SELECT credit_limit FROM ledger_accounts WHERE kind = 'merchant'"


@pytest.fixture
async def root(services: Container) -> Person:
    return await person(services, "root", Role.ADMIN)


@pytest.fixture
def admin(root: Person) -> Principal:
    return principal(root, Role.ADMIN)


@pytest.fixture
def merchants(services: Container) -> MerchantService:
    return services.credit.merchants


def approval(who: Person, limit: str = "400.00", pool: str = "default") -> Approval:
    return Approval(merchant_id=who.user_id, credit_limit=limit, pool=pool)


async def test_approval_opens_the_account_with_the_credit(
    services: Container, merchants: MerchantService, admin: Principal
) -> None:
    shop = await applicant(services, "shop")

    shown = await merchants.approve(admin, approval(shop))

    assert (shown.state, shown.pool) == (MerchantState.ACTIVE, "default")
    assert (shown.credit_limit, shown.utilised, shown.available) == (400, 0, 400)
    assert [row.credit_limit for row in await rows(services.database, ACCOUNTS)] == [400]
    assert BANK_ACCOUNT not in shown.model_dump_json()


async def test_an_approval_that_fails_opens_no_account(
    services: Container, merchants: MerchantService, admin: Principal
) -> None:
    shop = await applicant(services, "shop")

    with pytest.raises(PoolNotFound):
        await merchants.approve(admin, approval(shop, pool="nowhere"))

    assert await rows(services.database, ACCOUNTS) == []
    assert (await merchants.get(admin, shop.user_id)).state is MerchantState.PENDING


async def test_of_many_approvals_at_once_one_counts(
    services: Container, merchants: MerchantService, admin: Principal
) -> None:
    shop = await applicant(services, "shop")

    made = await asyncio.gather(
        *(merchants.approve(admin, approval(shop, f"{n}.00")) for n in range(1, 9)),
        return_exceptions=True,
    )

    assert sum(isinstance(each, MerchantNotPending) for each in made) == 7
    assert len(await rows(services.database, ACCOUNTS)) == 1


async def test_a_limit_goes_down_to_what_is_drawn_and_no_further(
    services: Container, merchants: MerchantService, root: Person, admin: Principal
) -> None:
    await fund(services, root, "500.00")
    shop = await merchant(services, root, "shop", "100.00")
    await withdraw(services, shop, "60.00")

    with pytest.raises(CreditLimitBelowUse) as refused:
        await merchants.change_limit(admin, shop.user_id, LimitChange(credit_limit="59.99"))
    shown = await merchants.change_limit(admin, shop.user_id, LimitChange(credit_limit="60.00"))

    assert refused.value.facts == {"utilised": "60.00"}
    assert (shown.credit_limit, shown.available) == (60, 0)
    await assert_proved(services)


async def test_a_limit_that_falls_while_a_merchant_draws_is_never_overdrawn(
    services: Container, merchants: MerchantService, root: Person, admin: Principal
) -> None:
    await fund(services, root, "500.00")
    shop = await merchant(services, root, "shop", "100.00")

    async def lower() -> None:
        await merchants.change_limit(admin, shop.user_id, LimitChange(credit_limit="40.00"))

    await asyncio.gather(
        lower(), *(withdraw(services, shop, "10.00") for _ in range(20)), return_exceptions=True
    )

    shown = await merchants.get(admin, shop.user_id)
    assert shown.utilised is not None
    assert shown.credit_limit is not None
    assert shown.utilised <= shown.credit_limit
    assert shown.utilised % 10 == 0 != shown.utilised
    await assert_proved(services)


async def test_once_a_suspension_is_answered_nothing_more_is_drawn(
    services: Container, merchants: MerchantService, root: Person, admin: Principal
) -> None:
    await fund(services, root, "500.00")
    shop = await merchant(services, root, "shop", "100.00")

    drawing = [asyncio.create_task(withdraw(services, shop, "1.00")) for _ in range(20)]
    await merchants.suspend(admin, shop.user_id)
    at_once = (await merchants.get(admin, shop.user_id)).utilised
    answers = await asyncio.gather(*drawing)
    after = await withdraw(services, shop, "1.00")

    paid = sum(answer.status == 201 for answer in answers)
    assert (await merchants.get(admin, shop.user_id)).utilised == at_once == Decimal(paid)
    assert after.status == 409


async def test_suspending_twice_says_so_once_in_the_trail(
    services: Container, merchants: MerchantService, root: Person, admin: Principal
) -> None:
    shop = await merchant(services, root, "shop")

    states = [
        (await change(admin, shop.user_id)).state
        for change in (merchants.suspend, merchants.suspend, merchants.resume, merchants.resume)
    ]

    trail = "".join(await audited(services))
    assert states == ["suspended", "suspended", "active", "active"]
    assert trail.count(f'"{Act.MERCHANT_SUSPENDED.value}"') == 1
    assert trail.count(f'"{Act.MERCHANT_RESUMED.value}"') == 1
    assert BANK_ACCOUNT not in trail


async def test_who_is_not_approved_cannot_be_changed_and_who_is_not_there_not_found(
    services: Container, merchants: MerchantService, admin: Principal
) -> None:
    shop = await applicant(services, "shop")
    change = LimitChange(credit_limit="1.00")

    for act in (merchants.suspend, merchants.resume):
        with pytest.raises(MerchantNotActive):
            await act(admin, shop.user_id)
        with pytest.raises(MerchantNotFound):
            await act(admin, 999)
    with pytest.raises(MerchantNotActive):
        await merchants.change_limit(admin, shop.user_id, change)
    with pytest.raises(MerchantNotFound):
        await merchants.approve(admin, Approval(merchant_id=999, credit_limit="1.00"))


async def test_merchants_are_paged_by_state_and_their_showing_is_recorded(
    services: Container, merchants: MerchantService, root: Person, admin: Principal
) -> None:
    people = [await applicant(services, f"shop{n}") for n in range(3)]
    await merchant(services, root, "active")

    first = await merchants.page(admin, MerchantState.PENDING, 2, 0)
    rest = await merchants.page(admin, MerchantState.PENDING, 2, int(first.next_cursor or 0))

    shown = [each.merchant_id for each in first.items + rest.items]
    assert (shown, rest.next_cursor) == ([each.user_id for each in people], None)
    assert "".join(await audited(services)).count(f'"{Act.MERCHANT_READ.value}"') == 2
