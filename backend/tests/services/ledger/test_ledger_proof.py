"""The proof finds what was done to the ledger past its triggers, and names it."""

import asyncio

import pytest
from sqlalchemy import exc, text

from backend.app.audit_record import SYSTEM
from backend.app.container import Container
from backend.app.database import Database
from backend.app.enums import Role
from backend.app.services.ledger.ledger_proof import prove_ledger
from backend.tests.conftest import HandClock
from backend.tests.support.credit import fund, merchant, withdrawn
from backend.tests.support.databases import make_copy, with_database
from backend.tests.support.people import person
from backend.tests.support.settings import usual_settings
from backend.tests.support.settlements import pay_out


# Booked once; each test spoils a copy of its own.
@pytest.fixture(scope="module")
def books(cluster_url: str, started_database: str) -> tuple[str, int]:
    """A pool, a merchant, a withdrawal that stands, and which, and one that was given back."""
    return asyncio.run(_booked(cluster_url, started_database))


async def _booked(cluster_url: str, started: str) -> tuple[str, int]:
    name = await make_copy(cluster_url, started)
    services = Container(usual_settings(), with_database(cluster_url, name), HandClock())
    await services.open()
    root = await person(services, "root", Role.ADMIN)
    alice = await merchant(services, root, "alice")
    await fund(services, root, "500.00")
    standing = (await withdrawn(services, alice, "120.50")).id
    failed = (await withdrawn(services, alice, "30.00")).id
    await services.credit.settling.give_back(failed, "account_closed", SYSTEM)
    await services.stop()
    return name, standing


@pytest.fixture
def copied_database(books: tuple[str, int]) -> str:
    return books[0]


@pytest.fixture
def booked(books: tuple[str, int]) -> int:
    return books[1]


async def run(database: Database, *statements: str) -> None:
    async with database.transaction() as session:
        for statement in statements:
            await session.execute(text(statement))


async def assert_proved(database: Database) -> None:
    assert (await prove_ledger(database)).findings == []


async def test_a_sound_ledger_is_proved(database: Database, booked: int) -> None:
    proof = await prove_ledger(database)

    assert proof.findings == []
    assert proof.counts == (5, 4, 2)


@pytest.mark.parametrize(
    ("tampered", "named"),
    [
        (
            "UPDATE ledger_accounts SET balance = balance + 1 WHERE kind = 'pool'",
            "(pool default) keeps 380.5, but its lines add up to 379.5",
        ),
        (
            "UPDATE ledger_accounts SET balance = 0 WHERE kind = 'merchant'",
            "(merchant of user 2) keeps 0, but its lines add up to 120.5",
        ),
        ("UPDATE withdrawals SET amount = amount - 0.01", "withdrawal {id} does not agree"),
        ("UPDATE withdrawals SET state = 'failed'", "withdrawal {id} does not agree"),
        ("DELETE FROM withdrawals WHERE id = {id}", "is a withdrawal that is not there"),
        (
            "UPDATE withdrawals SET state = 'settled' WHERE state = 'failed'",
            "(merchant of user 2) keeps 120.5, but its withdrawals add up to 150.5",
        ),
    ],
)
async def test_what_was_changed_in_a_row_is_named(
    database: Database, booked: int, tampered: str, named: str
) -> None:
    await run(database, tampered.format(id=booked))

    findings = (await prove_ledger(database)).findings

    assert any(named.format(id=booked) in finding for finding in findings), findings


@pytest.mark.parametrize(
    ("tampered", "named"),
    [
        ("UPDATE ledger_lines SET amount = amount + 1 WHERE amount > 0", "does not sum to zero"),
        ("DELETE FROM ledger_lines WHERE movement_id = 1", "movement 1 has no lines"),
        ("DELETE FROM ledger_movements WHERE id = 1", "movement 1, which is not there"),
        (
            (
                "UPDATE ledger_lines SET amount = amount * 2 WHERE movement_id ="
                " (SELECT id FROM ledger_movements WHERE kind = 'given_back')"
            ),
            "is not the opposite of what it reverses",
        ),
    ],
)
async def test_what_was_changed_past_the_triggers_is_named(
    database: Database, booked: int, tampered: str, named: str
) -> None:
    await run(
        database,
        "ALTER TABLE ledger_lines DISABLE TRIGGER USER",
        "ALTER TABLE ledger_movements DISABLE TRIGGER USER",
        tampered,
    )

    findings = (await prove_ledger(database)).findings

    assert any(named in finding for finding in findings), findings


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_lines SET amount = 1",
        "DELETE FROM ledger_lines",
        "TRUNCATE ledger_lines",
        "UPDATE ledger_movements SET kind = 'topup'",
        "DELETE FROM ledger_movements",
        # A line alone, one for nobody's account, one for no movement, and what nobody may owe.
        "INSERT INTO ledger_lines VALUES (1, 3, 5)",
        "INSERT INTO ledger_lines VALUES (1, 999, 5), (1, 3, -5)",
        "INSERT INTO ledger_lines VALUES (999, 3, 5), (999, 2, -5)",
        "INSERT INTO ledger_lines VALUES (1, 3, 'NaN'), (1, 2, 'NaN')",
        (
            "INSERT INTO ledger_movements (kind, at) VALUES ('topup', now());"
            "INSERT INTO ledger_lines SELECT max(id), 3, -5 FROM ledger_movements"
            " UNION ALL SELECT max(id), 2, 5 FROM ledger_movements"
        ),
        "UPDATE ledger_accounts SET balance = -1 WHERE kind = 'pool'",
        "UPDATE ledger_accounts SET balance = credit_limit + 0.01 WHERE kind = 'merchant'",
        # Reversing what was reversed already.
        (
            "INSERT INTO ledger_movements (kind, reverses_id, at)"
            " SELECT kind, reverses_id, at FROM ledger_movements WHERE reverses_id IS NOT NULL"
        ),
    ],
)
async def test_the_database_itself_refuses_what_would_break_the_books(
    database: Database, booked: int, statement: str
) -> None:
    with pytest.raises(exc.DBAPIError):
        await run(database, *statement.split(";"))

    await assert_proved(database)


async def test_who_has_an_account_cannot_be_deleted_but_an_applicant_can(
    database: Database, booked: int
) -> None:
    async with database.snapshot() as session:
        owner = await session.scalar(
            text("SELECT owner_id FROM ledger_accounts WHERE kind = 'merchant'")
        )

    with pytest.raises(exc.IntegrityError):
        await run(database, f"DELETE FROM users WHERE id = {owner}")
    await run(
        database,
        "INSERT INTO users (username, email, hashed_password, role)"
        " VALUES ('bob', 'bob@example.com', 'x', 'merchant')",
        "INSERT INTO merchants (user_id, requested_credit, bank_account)"
        " SELECT id, 5, 'DE89' FROM users WHERE username = 'bob'",
        "DELETE FROM users WHERE username = 'bob'",
    )


async def test_what_was_paid_out_once_is_proved(
    database: Database, clock: HandClock, booked: int
) -> None:
    await pay_out(database, clock, booked)

    await assert_proved(database)


@pytest.mark.parametrize(
    ("tampered", "named"),
    [
        ("DELETE FROM settlements", "withdrawal {id} is settled, but the settlement did not pay"),
        (
            "UPDATE settlements SET amount = amount + 1",
            "withdrawal {id} is settled, but the settlement did not pay it as it stands",
        ),
        (
            "UPDATE settlements SET merchant_id = merchant_id + 1",
            "withdrawal {id} is settled, but the settlement did not pay it as it stands",
        ),
        (
            "UPDATE settlements SET state = 'refused', reason = 'refused_by_bank'",
            "withdrawal {id} is settled, but the settlement did not pay it as it stands",
        ),
        ("UPDATE withdrawals SET state = 'failed'", "withdrawal {id} was paid out and given back"),
        (
            "UPDATE settlements SET withdrawal_id = 999",
            "the settlement was asked for withdrawal 999, which is not there",
        ),
    ],
)
async def test_what_the_settlement_paid_otherwise_is_named(
    database: Database, clock: HandClock, booked: int, tampered: str, named: str
) -> None:
    await pay_out(database, clock, booked)
    await run(database, "ALTER TABLE settlements DISABLE TRIGGER USER", tampered)

    findings = (await prove_ledger(database)).findings

    assert any(named.format(id=booked) in finding for finding in findings), findings
