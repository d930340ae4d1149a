"""Record, commit, then act.

Whoever is about to use a secret calls `record` and goes on when it returns: by then the event is
committed. If it raises, the secret stays closed. One writer task per process gathers what arrives
meanwhile and commits it as one group, so that a record costs about one commit however many wait.

A change of state is recorded differently: in its own transaction, by `AuditRepository.append`.
"""

import asyncio
from typing import Final

from backend.app.audit_chain import GENESIS, Head, verify_chain
from backend.app.audit_record import AuditRecord, WrittenRecord
from backend.app.database import Database
from backend.app.errors import AuditUnavailable, DatabaseUnavailable
from backend.app.logs import logger
from backend.app.repositories.audit_repository import SEQ_MIN, AuditRepository

BATCH_RECORDS_MAX: Final = 512
QUEUE_RECORDS_MAX: Final = 4096
RECORD_WAIT_SECONDS_MAX: Final = 5.0
DRAIN_SECONDS_MAX: Final = 5.0
_RETRY_AFTER_SECONDS: Final = 2
_LOG: Final = logger(__name__)

_Waiting = tuple[WrittenRecord, asyncio.Future[None]]


class AuditService:
    """The audit trail of one process. `start` it before anything is recorded."""

    def __init__(
        self, database: Database, record_wait_seconds: float = RECORD_WAIT_SECONDS_MAX
    ) -> None:
        self._database = database
        self._record_wait_seconds = record_wait_seconds
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(QUEUE_RECORDS_MAX)
        self._writer: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the writer."""
        self._writer = asyncio.create_task(self._write(), name="audit-writer")

    async def stop(self) -> None:
        """Take no more records, write those that wait, and let the writer go."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            async with asyncio.timeout(DRAIN_SECONDS_MAX):
                await self._queue.join()
        except TimeoutError:
            _answer(self._gather(), committed=False)
        writer.cancel()
        await asyncio.wait({writer})

    async def record(self, record: AuditRecord) -> None:
        """Return when the record is committed.

        Raises:
            AuditUnavailable: it is not, or not known to be. What it announces must not happen.
        """
        committed = asyncio.get_running_loop().create_future()
        if self._writer is None:
            raise _unavailable()
        # Written here, not by the writer: a bad record must not take its whole group with it.
        written = record.written()
        try:
            self._queue.put_nowait((written, committed))
            async with asyncio.timeout(self._record_wait_seconds):
                await committed
        except (asyncio.QueueFull, TimeoutError):
            raise _unavailable() from None

    async def verify(self) -> int | None:
        """Return the number of the first event that is not as it was written, or None."""
        async with self._database.snapshot() as session:
            trail, reached = AuditRepository(session), GENESIS
            # From below the first number: an event may have been slipped in before it.
            while page := await trail.page_after(reached.seq or SEQ_MIN):
                bad = verify_chain(page, reached)
                if bad is not None:
                    return bad
                reached = Head(page[-1].seq, page[-1].hash)
            return None if reached == await trail.head() else reached.seq + 1

    async def _write(self) -> None:
        while True:
            group = [await self._queue.get(), *self._gather(BATCH_RECORDS_MAX - 1)]
            try:
                await self._append(group)
            except asyncio.CancelledError:
                # Whether the commit was reached is not known any more.
                _answer(group, committed=False)
                raise
            finally:
                for _ in group:
                    self._queue.task_done()

    async def _append(self, group: list[_Waiting]) -> None:
        try:
            async with self._database.transaction() as session:
                await AuditRepository(session).append_written([record for record, _ in group])
        except DatabaseUnavailable:
            _answer(group, committed=False)
        except Exception as error:  # noqa: BLE001 - the writer outlives a defect in one group
            _LOG.error("audit_append_failed", kind=type(error).__name__, n=len(group))
            _answer(group, committed=False)
        else:
            _answer(group, committed=True)

    def _gather(self, count_max: int = QUEUE_RECORDS_MAX) -> list[_Waiting]:
        gathered: list[_Waiting] = []
        while len(gathered) < count_max and not self._queue.empty():
            gathered.append(self._queue.get_nowait())
        return gathered


def _answer(group: list[_Waiting], *, committed: bool) -> None:
    for _, waiter in group:
        # Whoever gave up waiting has cancelled its own.
        if waiter.done():
            continue
        if committed:
            waiter.set_result(None)
        else:
            waiter.set_exception(_unavailable())


def _unavailable() -> AuditUnavailable:
    return AuditUnavailable(retry_after_seconds=_RETRY_AFTER_SECONDS)
