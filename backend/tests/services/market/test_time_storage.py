"""Partitions are there before they are needed, and go when what they hold is kept no longer."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from backend.app.config import DatabaseSettings
from backend.app.database import Database
from backend.app.repositories.partition_repository import PartitionRepository
from backend.app.repositories.time_partitions import (
    PartitionedTable,
    partition_named,
    partition_of,
)
from backend.app.services.market.candle_retention import Retention
from backend.app.services.market.time_storage import TimeStorage
from backend.app.workers.partition_keeper import PartitionKeeper
from backend.tests.conftest import HandClock


async def names(database: Database) -> list[str]:
    async with database.snapshot() as session:
        partitions = PartitionRepository(session)
        return sorted(
            [part.name for table in PartitionedTable for part in await partitions.present(table)]
        )


@pytest.mark.parametrize(
    ("table", "name", "start", "end"),
    [
        (PartitionedTable.TICKS, "ticks_2026_12_31", (2026, 12, 31), (2027, 1, 1)),
        (PartitionedTable.FINE_CANDLES, "candles_fine_2026_12", (2026, 12, 1), (2027, 1, 1)),
        (PartitionedTable.COARSE_CANDLES, "candles_coarse_2026", (2026, 1, 1), (2027, 1, 1)),
    ],
)
def test_a_partition_is_named_by_the_time_it_holds(
    table: PartitionedTable, name: str, start: tuple[int, int, int], end: tuple[int, int, int]
) -> None:
    partition = partition_of(table, datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC))

    assert (partition.name, partition.start, partition.end) == (
        name,
        datetime(*start, tzinfo=UTC),
        datetime(*end, tzinfo=UTC),
    )
    assert partition_named(name) == partition


def test_no_other_name_is_a_partition() -> None:
    assert partition_named("ticks_2026_11") is None
    assert partition_named("candles_fine_2026") is None
    assert partition_named("users") is None


async def test_the_keeper_makes_room_for_midnight_and_the_new_year(
    database: Database, storage: TimeStorage, clock: HandClock
) -> None:
    clock.moment = datetime(2026, 12, 30, 12, 0, tzinfo=UTC)

    await PartitionKeeper(storage).tick()

    assert await names(database) == [
        "candles_coarse_2026",
        "candles_coarse_2027",
        "candles_fine_2026_12",
        "candles_fine_2027_01",
        "ticks_2026_12_30",
        "ticks_2027_01_01",
    ]


async def test_what_is_kept_no_longer_goes_with_its_partition(
    database: Database, storage: TimeStorage, clock: HandClock
) -> None:
    days = [clock() - timedelta(days=days) for days in (500, 401, 9, 8, 7, 0)]
    for table in PartitionedTable:
        await storage.make_room(table, days)

    await PartitionKeeper(storage).tick()

    kept = await names(database)
    # The 14th is the seventh day back; 400 days back lies in October of 2025.
    assert [name for name in kept if name.startswith("ticks")][:2] == [
        "ticks_2026_11_14",
        "ticks_2026_11_21",
    ]
    assert [name for name in kept if "fine" in name] == [
        "candles_fine_2025_10",
        "candles_fine_2026_11",
    ]
    assert [name for name in kept if "coarse" in name] == [
        "candles_coarse_2025",
        "candles_coarse_2026",
    ]


async def test_a_partition_somebody_reads_is_dropped_in_a_later_round(
    database: Database, storage: TimeStorage, clock: HandClock
) -> None:
    await storage.make_room(PartitionedTable.TICKS, [clock() - timedelta(days=30)])
    async with database.snapshot() as reader:
        await reader.execute(text("SELECT count(*) FROM ticks"))
        assert await storage.drop_what_is_too_old() == []

    assert await storage.drop_what_is_too_old() == ["ticks_2026_10_22"]


async def test_many_processes_make_the_same_partitions_at_once(
    database_url: str, clock: HandClock
) -> None:
    databases = [Database(database_url, DatabaseSettings(_env_file=None)) for _ in range(4)]
    retention = Retention(ticks_days=7, fine_days=400, coarse_days=None)

    await asyncio.gather(
        *(TimeStorage(each, retention, clock).make_room_ahead() for each in databases)
    )

    # Today, and two days ahead; the month and the year are the same.
    assert len(await names(databases[0])) == 4
    for each in databases:
        await each.close()


async def test_a_new_partition_has_the_key_and_the_index_of_its_table(
    database: Database, storage: TimeStorage
) -> None:
    await storage.make_room_ahead()

    async with database.snapshot() as session:
        indexes = await session.scalars(
            text("SELECT indexdef FROM pg_indexes WHERE tablename = 'candles_fine_2026_11'")
        )
    kinds = sorted(index.split(" USING ")[1].split()[0] for index in indexes)
    assert kinds == ["brin", "btree"]
