"""SQL that makes and drops partitions. Where TimescaleDB keeps the tables, it is asked instead."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.candle_interval import CandleInterval
from backend.app.repositories.time_partitions import (
    Partition,
    PartitionedTable,
    partition_named,
)

# Whoever makes or drops partitions does it alone.
_LOCK: Final = 7_305_518_231_009_001
# To drop a partition waits for every reader of its table, and everybody after it waits too.
_LOCK_WAIT: Final = "SET LOCAL lock_timeout = '500ms'"
_LOCK_NOT_AVAILABLE: Final = "55P03"
_IS_PARTITIONED: Final = text("SELECT relkind = 'p' FROM pg_class WHERE oid = 'ticks'::regclass")
_PARTS: Final = text(
    "SELECT child.relname FROM pg_inherits"
    " JOIN pg_class AS child ON child.oid = inhrelid"
    " WHERE inhparent = CAST(CAST(:parent AS text) AS regclass)"
)
_FINE: Final = tuple(interval.value for interval in CandleInterval if interval.is_fine)


class PartitionRepository:
    """The partitions of ticks and candles."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def is_partitioned(self) -> bool:
        """Say whether PostgreSQL's own partitions hold the tables, and not hypertables."""
        return bool(await self._session.scalar(_IS_PARTITIONED))

    async def make(self, wanted: Collection[Partition]) -> None:
        """Make those of the partitions that are missing. Blocks neither readers nor writers."""
        await self._session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        for table in sorted({partition.table for partition in wanted}):
            present = await self.present(table)
            for partition in wanted:
                if partition.table is table and partition not in present:
                    await self._make(partition)

    async def present(self, table: PartitionedTable) -> set[Partition]:
        """Return the partitions a table has."""
        names = await self._session.scalars(_PARTS, {"parent": table.value})
        return {part for part in map(partition_named, names) if part is not None}

    async def drop_before(self, table: PartitionedTable, cutoff: datetime) -> list[str]:
        """Drop the partitions that end at a moment or earlier; return their names.

        Gives up after half a second of waiting for readers: a later round finds them gone.
        """
        try:
            async with self._session.begin_nested():
                return await self._drop(table, cutoff)
        except DBAPIError as error:
            # Somebody reads it just now: a backup, for as long as it takes.
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
        return []

    async def drop_chunks_before(self, table: PartitionedTable, cutoff: datetime) -> None:
        """Do the same where TimescaleDB holds the tables.

        A chunk of candles holds all intervals, so the short ones have to be deleted from it.
        Source: TimescaleDB, API reference, drop_chunks; of its Apache-2.0 edition.
        """
        if table is PartitionedTable.FINE_CANDLES:
            delete = text(
                'DELETE FROM candles WHERE "interval" = ANY(:intervals) AND open_time < :cutoff'
            )
            await self._session.execute(delete, {"intervals": list(_FINE), "cutoff": cutoff})
            return
        hypertable = "ticks" if table is PartitionedTable.TICKS else "candles"
        await self._session.execute(
            text(f"SELECT drop_chunks('{hypertable}', older_than => CAST(:cutoff AS timestamptz))"),
            {"cutoff": cutoff},
        )

    async def _drop(self, table: PartitionedTable, cutoff: datetime) -> list[str]:
        await self._session.execute(text(_LOCK_WAIT))
        await self._session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        old = sorted(part.name for part in await self.present(table) if part.end <= cutoff)
        for name in old:
            await self._session.execute(text(f"DROP TABLE {name}"))
        return old

    async def _make(self, partition: Partition) -> None:
        # Made beside and attached: PARTITION OF would lock the parent against everybody.
        name, parent = partition.name, partition.table.value
        span = f"FROM ('{partition.start.isoformat()}') TO ('{partition.end.isoformat()}')"
        for statement in (
            f"CREATE TABLE {name} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)",
            f"ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES {span}",
        ):
            await self._session.execute(text(statement))
