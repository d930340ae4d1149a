"""The proof of the ledger finds whatever of the venue's money is not as its orders say."""

import asyncio

import pytest

from backend.app.config import DatabaseSettings
from backend.app.database import Database
from backend.app.services.ledger.ledger_proof import prove_ledger
from backend.tests.support.databases import make_copy, server_connection, with_database
from backend.tests.support.venue import engine_on, led, running, seeded_spot_commands

SPOT = 1


# Traded once; each test spoils a copy of its own.
@pytest.fixture(scope="module")
def traded_database(cluster_url: str, template_database: str) -> str:
    return asyncio.run(_traded(cluster_url, template_database))


async def _traded(cluster_url: str, template: str) -> str:
    name = await make_copy(cluster_url, template)
    url = with_database(cluster_url, name)
    async with server_connection(url) as connection:
        pair = await connection.fetchval("SELECT id FROM instruments WHERE symbol = 'BTC/USDT'")
    database = Database(url, DatabaseSettings(_env_file=None))
    async with running(engine_on(database, SPOT)) as engine:
        await led(engine)
        await engine.carry_out(seeded_spot_commands(600, pair))
    await database.close()
    return name


@pytest.fixture
def copied_database(traded_database: str) -> str:
    return traded_database


async def test_a_venue_that_traded_is_proved(database: Database) -> None:
    proof = await prove_ledger(database)

    assert proof.findings == []
    assert proof.counts.movements > 300


@pytest.mark.parametrize(
    ("tampering", "told"),
    [
        (
            (
                "UPDATE orders SET quantity = quantity + 1 WHERE id ="
                " (SELECT max(id) FROM orders WHERE status = 'open')"
            ),
            "but its open orders lock",
        ),
        (
            (
                "UPDATE ledger_accounts SET balance = balance + 1 WHERE id ="
                " (SELECT id FROM ledger_accounts WHERE kind = 'available'"
                " AND venue_account_id = 1 AND asset = 'BTC')"
            ),
            "(available of venue account 1 in BTC) keeps",
        ),
        (
            (
                "UPDATE venue_transfers SET amount = amount + 1 WHERE reference = 'first-BTC'"
                " AND account_id = 1"
            ),
            "does not agree with its movement",
        ),
        (
            "DELETE FROM venue_transfers WHERE reference = 'first-BTC' AND account_id = 1",
            "is of a transfer or order that is not there",
        ),
        (
            "UPDATE fills SET quantity = quantity + 1 WHERE trade_id = 3 AND is_maker",
            "trade 3 does not agree with its two fills",
        ),
        (
            "DELETE FROM trades WHERE id = 4 AND instrument_id > 4",
            "trade 4 does not agree with its two fills",
        ),
        (
            "UPDATE fills SET fee = fee + 1 WHERE trade_id = 5 AND is_maker",
            "but the fees of all fills are",
        ),
    ],
)
async def test_what_was_changed_is_named(
    database: Database, database_url: str, tampering: str, told: str
) -> None:
    async with server_connection(database_url) as connection:
        changed = await connection.execute(tampering)

    proof = await prove_ledger(database)

    assert changed.endswith(" 1")
    assert any(told in finding for finding in proof.findings), proof.findings
