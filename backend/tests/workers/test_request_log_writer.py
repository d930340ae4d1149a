"""The log of requests: written in batches, bounded, dropped by day, never in anybody's way."""

from typing import Any

import pytest
from sqlalchemy import text

from backend.app.database import Database
from backend.app.errors import DatabaseUnavailable
from backend.app.request_entry import RequestEntry
from backend.app.workers.request_log_writer import WAITING_MAX, RequestLogWriter
from backend.tests.conftest import HandClock
from backend.tests.support.logs import house_logging


def entry(clock: HandClock, **changed: Any) -> RequestEntry:
    plain = RequestEntry(
        at=clock(),
        request_id="0123456789abcdef",
        method="GET",
        route="/api/v1/me",
        status=200,
        user_id=7,
        key_prefix=None,
        address="192.0.2.1",
        duration_us=1500,
        request_bytes=0,
        response_bytes=321,
    )
    return plain._replace(**changed)


async def stored(database: Database, what: str = "count(*)") -> Any:
    async with database.snapshot() as session:
        return await session.scalar(text(f"SELECT {what} FROM api_request_log"))


async def partitions(database: Database) -> list[str]:
    async with database.snapshot() as session:
        names = await session.scalars(
            text(
                "SELECT inhrelid::regclass::text FROM pg_inherits"
                " WHERE inhparent = 'api_request_log'::regclass ORDER BY 1"
            )
        )
        return list(names)


async def test_what_is_noted_is_written_at_the_next_tick(
    database: Database, clock: HandClock
) -> None:
    writer = RequestLogWriter(database, 14, clock)
    for status in (200, 404, 500):
        writer.note(entry(clock, status=status))
    assert await stored(database) == 0

    await writer.tick()

    assert await stored(database) == 3
    assert await stored(database, "max(status)") == 500
    await writer.close()


async def test_what_still_waits_is_written_at_the_end(database: Database, clock: HandClock) -> None:
    writer = RequestLogWriter(database, 14, clock)
    writer.note(entry(clock))

    await writer.close()

    assert await stored(database) == 1


async def test_nothing_is_kept_where_no_day_is(database: Database, clock: HandClock) -> None:
    writer = RequestLogWriter(database, 0, clock)
    writer.note(entry(clock))

    await writer.tick()
    await writer.close()

    assert await stored(database) == 0


async def test_days_lie_apart_and_old_ones_go(database: Database, clock: HandClock) -> None:
    writer = RequestLogWriter(database, 2, clock)
    for _ in range(5):
        writer.note(entry(clock))
        await writer.tick()
        clock.advance(days=1)

    assert await partitions(database) == [f"api_request_log_2026_11_{day}" for day in (23, 24, 25)]
    await writer.close()


async def test_whoever_reads_the_log_for_long_keeps_old_days_but_not_new_entries_out(
    database: Database, clock: HandClock
) -> None:
    writer = RequestLogWriter(database, 1, clock)
    writer.note(entry(clock))
    await writer.tick()
    clock.advance(days=2)
    writer.note(entry(clock))

    async with database.snapshot() as backup:
        await backup.execute(text("SELECT FROM api_request_log"))
        await writer.tick()
        kept = await partitions(database), await stored(database)
    clock.advance(minutes=9)
    await writer.tick()
    early = await partitions(database)
    clock.advance(minutes=1)
    await writer.tick()

    assert kept == (early, 2) == (["api_request_log_2026_11_21", "api_request_log_2026_11_23"], 2)
    assert await partitions(database) == ["api_request_log_2026_11_23"]
    await writer.close()


async def test_two_processes_may_begin_a_day_together(database: Database, clock: HandClock) -> None:
    one, other = (RequestLogWriter(database, 14, clock) for _ in range(2))
    for writer in (one, other):
        writer.note(entry(clock))
        await writer.tick()

    assert await stored(database) == 2
    await one.close()
    await other.close()


async def test_an_overrun_is_counted_and_told(database: Database, clock: HandClock) -> None:
    writer = RequestLogWriter(database, 14, clock)
    for _ in range(WAITING_MAX + 3):
        writer.note(entry(clock))

    with house_logging() as log:
        await writer.tick()

    assert await stored(database) == WAITING_MAX
    assert '"entries":3' in log.getvalue()
    await writer.close()


async def test_nothing_is_lost_while_the_database_is_away_for_a_moment(
    database: Database, clock: HandClock
) -> None:
    writer = RequestLogWriter(database, 14, clock)
    writer.note(entry(clock))
    await writer.tick()
    assert writer._connection is not None
    writer._connection.terminate()
    writer.note(entry(clock))

    await writer.tick()

    assert await stored(database) == 2
    await writer.close()


async def test_a_batch_that_is_refused_is_tried_again(
    settings: Any, clock: HandClock, database: Database
) -> None:
    away = Database("postgresql://nobody@127.0.0.1:1/nothing", settings.database)
    writer = RequestLogWriter(away, 14, clock)
    writer.note(entry(clock))
    with pytest.raises(DatabaseUnavailable):
        await writer.tick()

    writer._database = database
    await writer.tick()

    assert await stored(database) == 1
    await writer.close()
    await away.close()
