"""Keeps a place for what is to be written, and drops what is too old."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.repositories.partition_repository import PartitionRepository
from backend.app.repositories.time_partitions import (
    Partition,
    PartitionedTable,
    partition_of,
)
from backend.app.services.market.candle_retention import Retention

AHEAD: Final = timedelta(days=2)
"""How far ahead there is a place, so that midnight finds one."""
_TABLES: Final = (
    PartitionedTable.TICKS,
    PartitionedTable.FINE_CANDLES,
    PartitionedTable.COARSE_CANDLES,
)
PARTITIONS_KNOWN_MAX: Final = 10_000


class TimeStorage:
    """The partitions of ticks and candles, as the services of one process see them."""

    def __init__(self, database: Database, retention: Retention, now: Clock) -> None:
        self.retention: Final = retention
        self._database = database
        self._now = now
        self._known: set[Partition] = set()
        self._is_partitioned: bool | None = None

    async def make_room(self, table: PartitionedTable, moments: Iterable[datetime]) -> None:
        """See to it that what is of these moments can be written."""
        wanted = {partition_of(table, at) for at in moments} - self._known
        if not wanted:
            return
        async with self._database.transaction() as session:
            partitions = PartitionRepository(session)
            if await self._partitioned(partitions):
                await partitions.make(wanted)
        if len(self._known) > PARTITIONS_KNOWN_MAX:
            self._known.clear()
        self._known |= wanted

    async def make_room_ahead(self) -> None:
        """See to it that there is a place for now and for the days that come."""
        now = self._now()
        for table in _TABLES:
            await self.make_room(table, (now, now + AHEAD))

    async def drop_what_is_too_old(self) -> list[str]:
        """Drop what is kept no longer; return the names of the partitions that went."""
        dropped = []
        for table in _TABLES:
            dropped += await self._drop_from(table)
        self._known = {part for part in self._known if part.name not in dropped}
        return dropped

    async def _drop_from(self, table: PartitionedTable) -> list[str]:
        cutoff = self.retention.cutoff(table, self._now())
        async with self._database.transaction() as session:
            partitions = PartitionRepository(session)
            if await self._partitioned(partitions):
                return await partitions.drop_before(table, cutoff)
            await partitions.drop_chunks_before(table, cutoff)
        return []

    async def _partitioned(self, partitions: PartitionRepository) -> bool:
        if self._is_partitioned is None:
            self._is_partitioned = await partitions.is_partitioned()
        return self._is_partitioned
