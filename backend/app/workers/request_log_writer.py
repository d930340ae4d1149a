"""Writes what was asked of us in batches, beside the requests; bounded, and never in their way."""

import asyncio
from collections import deque
from datetime import timedelta
from typing import Final

import asyncpg

from backend.app.clock import Clock
from backend.app.database import Database, outages_translated
from backend.app.errors import DatabaseUnavailable
from backend.app.logs import logger
from backend.app.repositories.partition_repository import PartitionRepository
from backend.app.repositories.request_log_repository import write_requests
from backend.app.repositories.time_partitions import Partition, PartitionedTable, partition_of
from backend.app.request_entry import RequestEntry

WAITING_MAX: Final = 20_000
"""Entries that wait to be written. While there are more, they are counted and let go."""
BATCH_MAX: Final = 5_000
DROP_EVERY: Final = timedelta(minutes=10)
_LOG = logger(__name__)


class RequestLogWriter:
    """The log of requests of one process."""

    name = "request-log-writer"
    interval_seconds = 1.0

    def __init__(self, database: Database, days_kept: int, now: Clock) -> None:
        self._database = database
        self._days_kept = days_kept
        self._now = now
        self._waiting: deque[RequestEntry] = deque()
        self._let_go = 0
        self._room: set[Partition] = set()
        self._drop_at = now()
        self._connection: asyncpg.Connection | None = None
        self._writing = asyncio.Lock()

    def note(self, entry: RequestEntry) -> None:
        """Keep an entry to be written soon. Neither waits nor raises."""
        if not self._days_kept:
            return
        if len(self._waiting) < WAITING_MAX:
            self._waiting.append(entry)
        else:
            self._let_go += 1

    async def tick(self) -> None:
        """Write what waits, a bounded number of batches, and drop what is too old.

        Raises:
            DatabaseUnavailable: nothing was lost; the next tick tries again.
        """
        if self._let_go:
            _LOG.warning("request_log_overrun", entries=self._let_go)
            self._let_go = 0
        async with self._writing:
            await self._write()
            if self._now() >= self._drop_at:
                await self._drop_what_is_too_old()

    async def close(self) -> None:
        """Write what still waits, if the database takes it, and let go of the connection."""
        try:
            async with self._writing:
                await self._write()
        except DatabaseUnavailable:
            _LOG.warning("request_log_lost", entries=len(self._waiting))
        if self._connection is not None:
            self._connection.terminate()

    async def _write(self) -> None:
        for _ in range(WAITING_MAX // BATCH_MAX):
            if self._waiting:
                await self._write_batch()

    async def _write_batch(self) -> None:
        batch = [self._waiting[index] for index in range(min(BATCH_MAX, len(self._waiting)))]
        await self._make_room(batch)
        async with outages_translated():
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._database.own_connection()
            await write_requests(self._connection, batch)
        # Only now: a batch that was refused is tried again.
        for _ in batch:
            self._waiting.popleft()

    async def _make_room(self, batch: list[RequestEntry]) -> None:
        wanted = {partition_of(PartitionedTable.REQUESTS, entry.at) for entry in batch}
        if wanted <= self._room:
            return
        async with self._database.transaction() as session:
            await PartitionRepository(session).make(wanted)
        self._room = wanted

    async def _drop_what_is_too_old(self) -> None:
        # Apart from writing: whoever reads an old day for long, as a backup does, delays only this.
        cutoff = self._now() - timedelta(days=self._days_kept)
        self._drop_at = self._now() + DROP_EVERY
        async with self._database.transaction() as session:
            await PartitionRepository(session).drop_before(PartitionedTable.REQUESTS, cutoff)
