"""Merchants, pools and withdrawals for tests, made beneath the routes."""

import itertools
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final

from backend.app.container import Container
from backend.app.enums import Role
from backend.app.models.merchant import Merchant
from backend.app.repositories.merchant_repository import MerchantRepository
from backend.app.schemas.merchant_schemas import Approval, PoolChange
from backend.app.schemas.withdrawal_schemas import WithdrawalRequest, WithdrawalShown
from backend.app.services.idempotency.keyed import Answer
from backend.app.services.ledger.ledger_proof import prove_ledger
from backend.app.services.principal import Principal
from backend.tests.support.people import Person, person

BANK_ACCOUNT: Final = "DE89370400440532013000"
_KEYS = itertools.count(1)


def principal(somebody: Person, role: Role = Role.MERCHANT) -> Principal:
    """Return somebody as the services see who asks."""
    return Principal(somebody.user_id, somebody.username, role, somebody.session_id)


def new_key() -> str:
    """Return an Idempotency-Key nobody used."""
    return f"key-{next(_KEYS)}"


async def applicant(services: Container, username: str) -> Person:
    """Enter a merchant who waits to be approved."""
    somebody = await person(services, username, Role.MERCHANT)
    await apply(services, somebody)
    return somebody


async def apply(services: Container, somebody: Person) -> None:
    """Let somebody ask for credit."""
    async with services.database.transaction() as session:
        merchant = Merchant(
            user_id=somebody.user_id,
            requested_credit=Decimal("1000.00"),
            bank_account=BANK_ACCOUNT,
        )
        await MerchantRepository(session).add(merchant)


async def merchant(
    services: Container,
    administrator: Person,
    username: str,
    limit: str = "1000.00",
    pool: str = "default",
) -> Person:
    """Enter a merchant and approve him."""
    somebody = await applicant(services, username)
    await approve(services, administrator, somebody, limit, pool)
    return somebody


async def approve(
    services: Container,
    administrator: Person,
    somebody: Person,
    limit: str = "1000.00",
    pool: str = "default",
) -> None:
    """Give a merchant his credit."""
    asked = Approval(merchant_id=somebody.user_id, credit_limit=limit, pool=pool)
    await services.credit.merchants.approve(principal(administrator, Role.ADMIN), asked)


async def fund(
    services: Container, administrator: Person, amount: str, pool: str = "default"
) -> None:
    """Top a pool up."""
    answer = await services.credit.pools.top_up(
        principal(administrator, Role.ADMIN), PoolChange(amount=amount, pool=pool), None
    )
    assert answer.status == HTTPStatus.OK, answer.body


async def withdraw(
    services: Container, somebody: Person, amount: str, key: str | None = None
) -> Answer:
    """Withdraw, under a key of its own unless one is named."""
    return await services.credit.withdrawals.withdraw(
        principal(somebody), WithdrawalRequest(amount=amount), key or new_key()
    )


async def withdrawn(services: Container, somebody: Person, amount: str) -> WithdrawalShown:
    """Withdraw what is there to be withdrawn."""
    answer = await withdraw(services, somebody, amount)
    assert answer.status == HTTPStatus.CREATED, answer.body
    return WithdrawalShown.model_validate_json(answer.body)


async def available(services: Container, administrator: Person, pool: str = "default") -> Decimal:
    """Return what a pool still has to lend."""
    pools = await services.credit.pools.pools()
    return next(each.available_amount for each in pools if each.name == pool)


async def credit_of(services: Container, administrator: Person, somebody: Person) -> dict[str, Any]:
    """Return how a merchant stands."""
    found = await services.credit.merchants.get(
        principal(administrator, Role.ADMIN), somebody.user_id
    )
    return found.model_dump(mode="json")


async def assert_proved(services: Container) -> None:
    """The ledger agrees to the cent."""
    assert (await prove_ledger(services.database)).findings == []
