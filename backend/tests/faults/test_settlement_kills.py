"""Two APIs and a settlement killed again and again under load: the money is all there."""

import asyncio
from pathlib import Path

import pytest

from backend.tests.support.settlement_load import Load, load

WITHDRAWALS = 400
AT_ONCE = 40
KILLS = 12


async def _withdraw_all(under: Load) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with places:
            await under.withdraw(number)

    await asyncio.gather(*(one(number) for number in range(WITHDRAWALS)))


@pytest.mark.slow
@pytest.mark.parametrize("later", [False, True], ids=["at once", "queued"])
async def test_kills_at_random_points_lose_and_double_nothing(
    database_url: str, tmp_path: Path, later: bool
) -> None:
    async with load(database_url, tmp_path, seed=20261121, apis=2, later=later) as under:
        withdrawing = asyncio.create_task(_withdraw_all(under))
        for _ in range(KILLS):
            await under.misbehave(
                {"fault": "slow", "percent": 10, "milliseconds": 200},
                {"fault": "lost_reply", "percent": 10},
                {"fault": "lost_request", "percent": 5},
                {"fault": "failing", "percent": 10},
                {"fault": "refused", "percent": 10},
            )
            await under.kill_one()
        await withdrawing
        await under.come_to_an_end()

        states = await under.assert_reconciled(WITHDRAWALS)

    assert set(states) == {"settled", "failed"}
