"""Doing once what is asked twice: same key, other key, refused, broken off, and at once."""

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus

import pytest
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.container import Container
from backend.app.enums import Role
from backend.app.errors import (
    IdempotencyInProgress,
    IdempotencyKeyReused,
    PoolShort,
    StrongroomError,
    WithdrawalQueueFull,
)
from backend.app.services.idempotency.idempotency import Idempotency
from backend.app.services.idempotency.keyed import Keyed, fingerprint
from backend.app.services.principal import Principal
from backend.tests.support.credit import principal
from backend.tests.support.people import person
from backend.tests.support.webhooks import rows


class Done(BaseModel):
    """What an act answers."""

    number: int


@dataclass
class Deed:
    """An act that leaves a row, and does what a test says."""

    refusal: StrongroomError | None = None
    open_door: asyncio.Event = field(default_factory=asyncio.Event)
    begun: int = 0

    def __post_init__(self) -> None:
        self.open_door.set()

    async def __call__(self, session: AsyncSession) -> BaseModel:
        self.begun += 1
        await session.execute(
            text(
                "INSERT INTO ledger_accounts (kind, name, asset, created_at)"
                " VALUES ('pool', :name, 'USD', now())"
            ),
            {"name": f"made-{self.begun}"},
        )
        await self.open_door.wait()
        if self.refusal is not None:
            raise self.refusal
        return Done(number=self.begun)


@pytest.fixture
def once(services: Container) -> Idempotency:
    return services.credit.idempotency


@pytest.fixture
async def root(services: Container) -> Principal:
    return principal(await person(services, "root", Role.ADMIN), Role.ADMIN)


def keyed(who: Principal, key: str | None = "one", number: int = 1, route: str = "deeds") -> Keyed:
    return Keyed(who, route, key, fingerprint(Done(number=number)))


async def made(services: Container) -> int:
    found = await rows(services.database, "SELECT 1 FROM ledger_accounts WHERE name LIKE 'made-%'")
    return len(found)


async def test_the_same_key_is_answered_byte_for_byte_and_counts_once(
    services: Container, once: Idempotency, root: Principal
) -> None:
    deed = Deed()

    first = await once.once(keyed(root), deed, HTTPStatus.CREATED)
    again = await once.once(keyed(root), deed, HTTPStatus.CREATED)

    assert (first.status, first.body, first.is_replayed) == (201, b'{"number":1}', False)
    assert (again.status, again.body, again.is_replayed) == (201, first.body, True)
    assert (deed.begun, await made(services)) == (1, 1)


async def test_a_key_counts_for_one_user_one_route_and_one_body(
    services: Container, once: Idempotency, root: Principal
) -> None:
    other = principal(await person(services, "other", Role.ADMIN), Role.ADMIN)
    deed = Deed()
    await once.once(keyed(root), deed)

    with pytest.raises(IdempotencyKeyReused):
        await once.once(keyed(root, number=2), deed)
    theirs = await once.once(keyed(other), deed)
    elsewhere = await once.once(keyed(root, route="others"), deed)

    assert [theirs.is_replayed, elsewhere.is_replayed] == [False, False]
    assert deed.begun == 3


async def test_without_a_key_each_request_counts(
    services: Container, once: Idempotency, root: Principal
) -> None:
    deed = Deed()

    for _ in range(2):
        await once.once(keyed(root, None), deed)

    assert await made(services) == 2
    assert await rows(services.database, "SELECT 1 FROM idempotency_keys") == []


async def test_a_refusal_for_good_is_kept_and_what_it_wrote_is_not(
    services: Container, once: Idempotency, root: Principal
) -> None:
    deed = Deed(PoolShort("It does not hold as much."))

    first = await once.once(keyed(root), deed)
    deed.refusal = None
    again = await once.once(keyed(root), deed)

    assert (first.status, again.status, again.body) == (409, 409, first.body)
    assert (deed.begun, await made(services)) == (1, 0)


@pytest.mark.parametrize("kind", [WithdrawalQueueFull, RuntimeError])
async def test_what_was_not_decided_leaves_nothing_and_is_done_by_the_retry(
    services: Container, once: Idempotency, root: Principal, kind: type[Exception]
) -> None:
    deed = Deed()
    deed.refusal = kind("not now")  # type: ignore[assignment]

    with pytest.raises(kind):
        await once.once(keyed(root), deed)
    left = await made(services)
    deed.refusal = None
    again = await once.once(keyed(root), deed)

    assert (left, await made(services)) == (0, 1)
    assert (again.status, again.is_replayed) == (200, False)


async def test_a_double_during_the_first_is_told_to_wait_also_at_another_process(
    services: Container, once: Idempotency, root: Principal
) -> None:
    deed = Deed()
    deed.open_door.clear()
    elsewhere = Idempotency(services.database, services.clock)
    first = asyncio.create_task(once.once(keyed(root), deed))
    while not deed.begun:
        await asyncio.sleep(0.01)

    with pytest.raises(IdempotencyInProgress) as refused:
        await elsewhere.once(keyed(root), deed)
    deed.open_door.set()
    answer = await first
    again = await elsewhere.once(keyed(root), deed)

    assert refused.value.retry_after_seconds == 1
    assert (again.body, again.is_replayed, deed.begun) == (answer.body, True, 1)


async def test_what_was_broken_off_in_between_is_done_once_by_the_retry(
    services: Container, once: Idempotency, root: Principal
) -> None:
    deed = Deed()
    deed.open_door.clear()
    first = asyncio.create_task(once.once(keyed(root), deed))
    while not deed.begun:
        await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.wait({first})
    deed.open_door.set()

    again = await once.once(keyed(root), deed)

    assert (again.is_replayed, deed.begun, await made(services)) == (False, 2, 1)
