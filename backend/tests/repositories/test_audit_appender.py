"""The writer's own connection: one round trip if it is alone, and never a fork of the chain."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from backend.app.audit_chain import verify_chain
from backend.app.audit_record import SYSTEM, Act, AuditRecord, Outcome, WrittenRecord
from backend.app.config import DatabaseSettings
from backend.app.database import Database
from backend.app.errors import DatabaseUnavailable
from backend.app.repositories.audit_appender import AuditAppender
from backend.app.repositories.audit_repository import SEQ_MIN, AuditRepository, StoredEvent

AT = datetime(2026, 11, 21, tzinfo=UTC)


def record(n: int) -> AuditRecord:
    return AuditRecord(act=Act.LOGIN, outcome=Outcome.DONE, caller=SYSTEM, at=AT, n=n)


def written(*counts: int) -> list[WrittenRecord]:
    return [record(n).written() for n in counts]


async def trail(database: Database) -> list[StoredEvent]:
    async with database.snapshot() as session:
        page = await AuditRepository(session).page_after(SEQ_MIN)
        head = await AuditRepository(session).head()
    assert verify_chain(page) is None
    assert head.seq == len(page)
    return page


async def end_other_connections(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() "
                "AND backend_type = 'client backend'"
            )
        )


async def test_groups_are_chained_one_after_the_other(database: Database) -> None:
    appender = AuditAppender(database)

    await appender.append(written(1, 2))
    await appender.append(written(3))

    assert [event.payload for event in await trail(database)] == [
        record(n).payload() for n in (1, 2, 3)
    ]
    appender.close()


async def test_what_others_append_in_between_is_written_on_from(database: Database) -> None:
    ours, theirs = AuditAppender(database), AuditAppender(database)

    await ours.append(written(1))
    await theirs.append(written(2))
    await ours.append(written(3))
    async with database.transaction() as session:
        await AuditRepository(session).append([record(4)])
    await theirs.append(written(5))

    assert [event.payload for event in await trail(database)] == [
        record(n).payload() for n in (1, 2, 3, 4, 5)
    ]
    ours.close()
    theirs.close()


async def test_many_writers_at_once_make_one_chain(database: Database) -> None:
    appenders = [AuditAppender(database) for _ in range(4)]

    async def write(appender: AuditAppender) -> None:
        for n in range(25):
            await appender.append(written(n, n + 100))

    await asyncio.gather(*(write(appender) for appender in appenders))

    assert len(await trail(database)) == 200
    for appender in appenders:
        appender.close()


async def test_a_head_that_was_set_back_is_not_written_on_from(database: Database) -> None:
    appender = AuditAppender(database)
    await appender.append(written(1, 2))
    async with database.transaction() as session:
        await session.execute(text("UPDATE audit_chain_heads SET seq = 1"))

    with pytest.raises(Exception, match="pk_audit_events"):
        await appender.append(written(3))

    appender.close()


async def test_a_connection_that_was_ended_is_replaced(database: Database) -> None:
    appender = AuditAppender(database)
    await appender.append(written(1))

    await end_other_connections(database)
    # What the server said last is read when the loop comes round.
    await asyncio.sleep(0)
    try:
        await appender.append(written(2))
    except DatabaseUnavailable:
        await appender.append(written(2))

    assert [event.seq for event in await trail(database)] == [1, 2]
    appender.close()


async def test_a_database_that_is_away_is_one_refusal() -> None:
    away = Database("postgresql://nobody@127.0.0.1:9/none", DatabaseSettings(_env_file=None))

    with pytest.raises(DatabaseUnavailable):
        await AuditAppender(away).append(written(1))

    await away.close()


async def test_giving_up_on_a_group_leaves_a_writer_that_works(database: Database) -> None:
    appender = AuditAppender(database)
    await appender.append(written(1))
    async with database.transaction() as session:
        await session.execute(text("SELECT FROM audit_chain_heads FOR UPDATE"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await appender.append(written(2))

    await appender.append(written(3))

    events = [event.payload for event in await trail(database)]
    # What was given up may or may not have been committed; it was told as unknown.
    assert (events[0], events[-1]) == (record(1).payload(), record(3).payload())
    appender.close()
