"""Engines killed anywhere between asking and answering: nothing answered is lost or done twice."""

import asyncio
import random
import sys
from pathlib import Path

import pytest

from backend.app.database import Database
from backend.app.services.ledger.ledger_proof import prove_ledger
from backend.app.services.venue.replay import replay
from backend.tests.support.databases import server_connection

ROOT = Path(__file__).parents[3]
FEW_KILLS = 5
MANY_KILLS = 200
SECONDS_MAX = 1_800
STORED = """
SELECT 'order ' || account_id || ' ' || client_order_id || ' ' || id FROM orders
UNION ALL SELECT 'transfer ' || account_id || ' ' || reference || ' ' || number FROM venue_transfers
"""


@pytest.mark.parametrize(
    "kills", [FEW_KILLS, pytest.param(MANY_KILLS, marks=pytest.mark.slow)], ids=["few", "many"]
)
async def test_what_was_answered_before_a_kill_is_there_once_and_all_books_agree(
    database: Database, database_url: str, kills: int
) -> None:
    seed = random.randrange(2**32)
    async with server_connection(database_url) as connection:
        pair = await connection.fetchval("SELECT id FROM instruments WHERE symbol = 'BTC/USDT'")

    answered = await killed(database_url, kills, seed, pair)

    async with server_connection(database_url) as connection:
        stored = [row[0] for row in await connection.fetch(STORED)]
        snapshots = await connection.fetchval("SELECT count(*) FROM venue_snapshots")
        epochs = await connection.fetchval("SELECT min(epoch) FROM venue_epochs")
    names = [line.rpartition(" ")[0] for line in stored]
    assert len(answered) > kills * 25, f"seed {seed}"
    assert set(answered) <= set(stored), f"seed {seed}"
    assert len(names) == len(set(names)), f"seed {seed}"
    assert epochs > kills // 2
    # A snapshot is written beside the batches: few lives may all end before one is there.
    assert snapshots or kills == FEW_KILLS
    for shard in (0, 1):
        found = await replay(database, shard)
        assert found.difference is None, f"seed {seed}"
        assert found.trades
    assert (await prove_ledger(database)).findings == [], f"seed {seed}"


async def killed(database_url: str, kills: int, seed: int, pair: int) -> list[str]:
    """Let engines live and be killed so often, and return what they answered."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "backend.tests.support.venue_killed"),
        *map(str, (kills, seed, pair)),
        env={"URL": database_url, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(SECONDS_MAX):
        said, _ = await program.communicate()
    assert program.returncode == 0, f"seed {seed}"
    return said.decode().splitlines()
