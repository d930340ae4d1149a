"""The trail in PostgreSQL: it only grows, in one order, with the transaction that caused it."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import exc, select, text

from backend.app.audit_chain import GENESIS, verify_chain
from backend.app.audit_record import SYSTEM, Act, AuditRecord, Outcome
from backend.app.database import Database
from backend.app.models.audit_event import AuditEvent
from backend.app.repositories.audit_repository import PAGE_ROWS_MAX, SEQ_MIN, AuditRepository

AT = datetime(2026, 11, 21, 10, 30, 0, 123456, tzinfo=UTC)


def record(n: int) -> AuditRecord:
    return AuditRecord(act=Act.LOGIN, outcome=Outcome.DONE, caller=SYSTEM, at=AT, n=n)


async def append(database: Database, *counts: int) -> None:
    async with database.transaction() as session:
        await AuditRepository(session).append([record(n) for n in counts])


async def test_an_empty_trail_ends_at_its_beginning(database: Database) -> None:
    async with database.snapshot() as session:
        assert await AuditRepository(session).head() == GENESIS


async def test_records_are_chained_over_transactions(database: Database) -> None:
    await append(database, 1, 2)
    await append(database, 3)

    async with database.snapshot() as session:
        page = await AuditRepository(session).page_after(SEQ_MIN)
        head = await AuditRepository(session).head()

    assert [event.seq for event in page] == [1, 2, 3]
    assert page[1].payload == record(2).payload()
    assert page[1].at == AT
    assert verify_chain(page) is None
    assert (head.seq, head.hash) == (3, page[-1].hash)


async def test_two_appends_in_one_block_are_one_chain(database: Database) -> None:
    async with database.transaction() as session:
        await AuditRepository(session).append([record(1)])
        await AuditRepository(session).append([record(2)])

    async with database.snapshot() as session:
        page = await AuditRepository(session).page_after(SEQ_MIN)

    assert [event.seq for event in page] == [1, 2]
    assert verify_chain(page) is None


async def test_a_block_that_fails_leaves_no_record(database: Database) -> None:
    async def fail_after_recording() -> None:
        async with database.transaction() as session:
            await AuditRepository(session).append([record(1)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_after_recording()
    await append(database, 2)

    async with database.snapshot() as session:
        page = await AuditRepository(session).page_after(SEQ_MIN)
    assert [event.payload for event in page] == [record(2).payload()]
    assert verify_chain(page) is None


async def test_many_writers_make_one_chain(database: Database) -> None:
    await asyncio.gather(*(append(database, n, n + 100) for n in range(20)))

    async with database.snapshot() as session:
        page = await AuditRepository(session).page_after(SEQ_MIN)

    assert len(page) == 40
    assert verify_chain(page) is None


async def test_a_long_trail_is_read_page_by_page(database: Database) -> None:
    await append(database, *range(PAGE_ROWS_MAX + 1))

    async with database.snapshot() as session:
        trail = AuditRepository(session)
        first = await trail.page_after(SEQ_MIN)
        second = await trail.page_after(first[-1].seq)

    assert (len(first), len(second)) == (PAGE_ROWS_MAX, 1)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET at = now()",
        "UPDATE audit_events SET seq = seq WHERE false",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "SET session_replication_role = replica; DELETE FROM audit_events",
    ],
)
async def test_the_database_refuses_to_change_or_remove_an_event(
    database: Database, statement: str
) -> None:
    async def tamper() -> None:
        async with database.transaction() as session:
            for part in statement.split("; "):
                await session.execute(text(part))

    await append(database, 1)

    # Whether the last is refused by the trigger or before it depends on the role.
    with pytest.raises(exc.DBAPIError, match=r"audit_events only grows|permission denied"):
        await tamper()

    async with database.snapshot() as session:
        assert len((await session.scalars(select(AuditEvent))).all()) == 1
