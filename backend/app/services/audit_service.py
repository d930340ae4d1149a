"""Record, commit, then act.

Whoever is about to use a secret calls `record` and goes on when it returns: by then the event is
committed. If it raises, the secret stays closed. One writer task per process gathers what arrives
meanwhile and commits it as one group, so that a record costs about one commit however many wait.

A change of state is recorded differently: in its own transaction, by `AuditRepository.append`.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from backend.app.audit_record import AuditRecord, WrittenRecord
from backend.app.errors import AuditUnavailable, DatabaseUnavailable
from backend.app.logs import logger
from backend.app.services.use_watch import UseWatch

BATCH_RECORDS_MAX: Final = 512
QUEUE_RECORDS_MAX: Final = 4096
# A record waits at most this long to be taken into a group, and as long again for its commit.
RECORD_WAIT_SECONDS_MAX: Final = 2.5
DRAIN_SECONDS_MAX: Final = 5.0
_RETRY_AFTER_SECONDS: Final = 2
_LOG: Final = logger(__name__)


class Appender(Protocol):
    """What writes at the end of the trail."""

    async def append(self, records: Sequence[WrittenRecord]) -> None:
        """Return when the records are committed, or raise `DatabaseUnavailable`."""
        ...

    def close(self) -> None:
        """Let go of what is held."""
        ...


class _Waiting(NamedTuple):
    record: WrittenRecord
    committed: asyncio.Future[None]
    until: float


class AuditService:
    """The audit trail of one process. `start` it before anything is recorded."""

    def __init__(
        self, appender: Appender, record_wait_seconds: float = RECORD_WAIT_SECONDS_MAX
    ) -> None:
        self._appender = appender
        self._record_wait_seconds = record_wait_seconds
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._is_stopping = False
        self._uses = UseWatch()

    async def start(self) -> None:
        """Start the writer."""
        self._is_stopping = False
        self._writer = asyncio.create_task(self._write(), name="audit-writer")

    async def stop(self) -> None:
        """Take no more records, write those that wait, and let the writer go."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        self._is_stopping = True
        self._arrived.set()
        await asyncio.wait({writer}, timeout=DRAIN_SECONDS_MAX)
        writer.cancel()
        await asyncio.wait({writer})
        _answer(self._waiting, committed=False)
        self._waiting.clear()
        self._appender.close()

    async def record(self, record: AuditRecord) -> None:
        """Return when the record is committed.

        Raises:
            AuditUnavailable: it is not, or not known to be. What it announces must not happen.
        """
        if self._writer is None or len(self._waiting) >= QUEUE_RECORDS_MAX:
            raise _unavailable()
        # Written here, not by the writer: a bad record must not take its whole group with it.
        committed = self._join(record)
        alarm = self._uses.note(record)
        if alarm is not None:
            _LOG.warning("many_credentials_used", actor=alarm.caller.actor.id, n=alarm.n)
            # It stands behind the use that caused it, and nobody waits for it.
            self._join(alarm).add_done_callback(asyncio.Future.exception)
        await committed

    def _join(self, record: AuditRecord) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        committed = loop.create_future()
        # No timer each: the writer looks at the clock for all (bench/audit.py).
        until = loop.time() + self._record_wait_seconds
        self._waiting.append(_Waiting(record.written(), committed, until))
        self._arrived.set()
        return committed

    async def _write(self) -> None:
        while self._waiting or not self._is_stopping:
            await self._arrived.wait()
            group = self._gather()
            if group:
                await self._append(group)

    async def _append(self, group: list[_Waiting]) -> None:
        committed = False
        try:
            async with asyncio.timeout(self._record_wait_seconds):
                await self._appender.append([waiting.record for waiting in group])
            committed = True
        except (DatabaseUnavailable, TimeoutError):
            pass
        except Exception as error:  # noqa: BLE001 - the writer outlives a defect in one group
            _LOG.error("audit_append_failed", kind=type(error).__name__, n=len(group))
        finally:
            # Also when we are cancelled: whether the commit was reached is not known any more.
            _answer(group, committed=committed)

    def _gather(self) -> list[_Waiting]:
        """Take the next group, and refuse those that have waited too long to be in any."""
        waiting = self._waiting
        now = asyncio.get_running_loop().time()
        while waiting and waiting[0].until < now:
            _answer((waiting.popleft(),), committed=False)
        group = [waiting.popleft() for _ in range(min(len(waiting), BATCH_RECORDS_MAX))]
        if not waiting and not self._is_stopping:
            self._arrived.clear()
        return group


def _answer(group: Sequence[_Waiting], *, committed: bool) -> None:
    for waiting in group:
        # Whoever gave up waiting has cancelled its own.
        if waiting.committed.done():
            continue
        if committed:
            waiting.committed.set_result(None)
        else:
            waiting.committed.set_exception(_unavailable())


def _unavailable() -> AuditUnavailable:
    return AuditUnavailable(retry_after_seconds=_RETRY_AFTER_SECONDS)
