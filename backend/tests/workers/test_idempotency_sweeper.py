"""Keys of yesterday go, a bounded number at a time; the rest stays."""

import json
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from backend.app.container import Container
from backend.app.enums import Role
from backend.app.workers.idempotency_sweeper import (
    IDEMPOTENCY_KEYS_KEPT_FOR,
    KEYS_PER_SWEEP_MAX,
    IdempotencySweeper,
)
from backend.tests.support import credit
from backend.tests.support.people import person
from backend.tests.support.settlements import pay_out
from backend.tests.support.webhooks import rows


async def keep(services: Container, name: str, age: timedelta, keys: int = 1) -> None:
    async with services.database.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO idempotency_keys"
                " SELECT 1, 'withdrawals', :name || n, '', 201, '{}', :at"
                " FROM generate_series(1, :keys) AS n"
            ),
            {"name": name, "at": services.clock() - age, "keys": keys},
        )


async def kept(services: Container) -> list[str]:
    found = await rows(services.database, "SELECT key FROM idempotency_keys ORDER BY key")
    return [row.key for row in found]


async def test_a_key_is_kept_for_a_day_and_no_longer(services: Container, clock: Any) -> None:
    await keep(services, "old", IDEMPOTENCY_KEYS_KEPT_FOR + timedelta(seconds=1))
    await keep(services, "new", IDEMPOTENCY_KEYS_KEPT_FOR)
    sweeper = IdempotencySweeper(services.database, clock)

    await sweeper.tick()
    first = await kept(services)
    clock.advance(seconds=1)
    await sweeper.tick()

    assert (first, await kept(services)) == (["new1"], [])


async def test_the_key_of_a_withdrawal_is_kept_until_it_is_decided(
    services: Container, clock: Any
) -> None:
    root = await person(services, "root", Role.ADMIN)
    await credit.fund(services, root, "100.00")
    alice = await credit.merchant(services, root, "alice")
    answer = await credit.withdraw(services, alice, "10.00", "mine")
    sweeper = IdempotencySweeper(services.database, clock)
    clock.advance(days=2)

    await sweeper.tick()
    again = await credit.withdraw(services, alice, "10.00", "mine")
    await pay_out(services.database, clock, json.loads(answer.body)["id"])
    await sweeper.tick()

    assert (again.body, again.is_replayed) == (answer.body, True)
    assert await kept(services) == []


async def test_a_sweep_that_one_block_cannot_hold_goes_on_in_the_next(
    services: Container, clock: Any
) -> None:
    await keep(services, "old", timedelta(days=2), KEYS_PER_SWEEP_MAX + 1)

    await IdempotencySweeper(services.database, clock).tick()

    assert await kept(services) == []


async def test_a_key_somebody_holds_is_left_for_the_next_sweep(
    services: Container, clock: Any
) -> None:
    await keep(services, "old", timedelta(days=2))
    sweeper = IdempotencySweeper(services.database, clock)

    async with services.database.transaction() as session:
        await session.execute(text("SELECT FROM idempotency_keys FOR UPDATE"))
        await sweeper.tick()
    first = await kept(services)
    await sweeper.tick()

    assert (first, await kept(services)) == (["old1"], [])
