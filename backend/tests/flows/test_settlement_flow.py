"""Withdrawals through real processes: an API, a settlement, and neither without a fault."""

import asyncio
from pathlib import Path

import pytest

from backend.tests.support.settlement_load import load

pytestmark = pytest.mark.slow

WITHDRAWALS = 40


async def test_each_withdrawal_is_paid_once_or_given_back_once_whatever_dies(
    database_url: str, tmp_path: Path
) -> None:
    async with load(database_url, tmp_path, seed=7, apis=1) as under:
        await under.misbehave(
            {"fault": "lost_reply", "percent": 10},
            {"fault": "failing", "percent": 10},
            {"fault": "refused", "percent": 15},
        )
        first, second = range(WITHDRAWALS // 2), range(WITHDRAWALS // 2, WITHDRAWALS)
        await asyncio.gather(*(under.withdraw(n) for n in first))
        # One of each, in the middle of it; the settlement comes back with no faults.
        withdrawing = asyncio.gather(*(under.withdraw(n) for n in second))
        await under.settlement.kill()
        await under.apis[0].kill()
        await asyncio.gather(under.settlement.start(), under.apis[0].start())
        await withdrawing
        await under.come_to_an_end()

        states = await under.assert_reconciled(WITHDRAWALS)

    assert states["settled"] > 0
    assert states["failed"] > 0
