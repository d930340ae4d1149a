"""The proof of the ledger finds whatever of the venue's money is not as its orders say."""

import pytest

from backend.app.database import Database
from backend.app.services.ledger.ledger_proof import prove_ledger
from backend.tests.support.databases import server_connection
from backend.tests.support.venue import engine_on, led, running, seeded_spot_commands

SPOT = 1


@pytest.fixture
async def traded(database: Database, database_url: str) -> Database:
    async with server_connection(database_url) as connection:
        pair = await connection.fetchval("SELECT id FROM instruments WHERE symbol = 'BTC/USDT'")
    async with running(engine_on(database, SPOT)) as engine:
        await led(engine)
        await engine.carry_out(seeded_spot_commands(600, pair))
    return database


async def test_a_venue_that_traded_is_proved(traded: Database) -> None:
    proof = await prove_ledger(traded)

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
    traded: Database, database_url: str, tampering: str, told: str
) -> None:
    async with server_connection(database_url) as connection:
        changed = await connection.execute(tampering)

    proof = await prove_ledger(traded)

    assert changed.endswith(" 1")
    assert any(told in finding for finding in proof.findings), proof.findings
