"""Record, commit, then act: in groups, within bounds, and never without a commit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_record import SYSTEM, Act, AuditRecord, Outcome
from backend.app.database import Database
from backend.app.errors import AuditUnavailable, DatabaseUnavailable
from backend.app.repositories.audit_repository import SEQ_MIN, AuditRepository, StoredEvent
from backend.app.services.audit_service import (
    BATCH_RECORDS_MAX,
    QUEUE_RECORDS_MAX,
    AuditService,
)

AT = datetime(2026, 11, 21, tzinfo=UTC)
COPY = (
    "INSERT INTO audit_events SELECT chain, {seq}, at, payload, hash "
    "FROM audit_events WHERE seq = {source}"
)


class Gate:
    """A database whose transactions can be held back, counted or made to fail."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.open = asyncio.Event()
        self.open.set()
        self.entered = asyncio.Event()
        self.transactions = 0
        self.refusal: Exception | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        self.transactions += 1
        self.entered.set()
        await self.open.wait()
        if self.refusal is not None:
            raise self.refusal
        async with self._database.transaction() as session:
            yield session

    def snapshot(self):  # type: ignore[no-untyped-def]
        return self._database.snapshot()


def record(n: int = 0) -> AuditRecord:
    return AuditRecord(act=Act.LOGIN, outcome=Outcome.DONE, caller=SYSTEM, at=AT, n=n)


async def trail(database: Database) -> list[StoredEvent]:
    async with database.snapshot() as session:
        return await AuditRepository(session).page_after(SEQ_MIN)


@pytest.fixture
async def gate(database: Database) -> Gate:
    return Gate(database)


@pytest.fixture
async def audit(gate: Gate) -> AsyncIterator[AuditService]:
    service = AuditService(gate)  # type: ignore[arg-type]
    await service.start()
    yield service
    gate.open.set()
    await service.stop()


async def tampered(database: Database, statement: str) -> None:
    """Do what the trigger forbids, as somebody who owns the tables could."""
    async with database.transaction() as session:
        await session.execute(text("ALTER TABLE audit_events DISABLE TRIGGER USER"))
        await session.execute(text(statement))


async def test_a_record_is_committed_when_record_returns(
    audit: AuditService, database: Database
) -> None:
    await audit.record(record(1))

    assert [event.payload for event in await trail(database)] == [record(1).payload()]


async def test_waiting_records_share_one_transaction(audit: AuditService, gate: Gate) -> None:
    gate.open.clear()
    first = asyncio.create_task(audit.record(record()))
    await gate.entered.wait()
    others = [asyncio.create_task(audit.record(record(n))) for n in range(BATCH_RECORDS_MAX)]
    await asyncio.sleep(0)

    gate.open.set()
    await asyncio.gather(first, *others)

    assert gate.transactions == 2


async def test_a_group_is_bounded(audit: AuditService, gate: Gate, database: Database) -> None:
    gate.open.clear()
    first = asyncio.create_task(audit.record(record()))
    await gate.entered.wait()
    others = [asyncio.create_task(audit.record(record(n))) for n in range(BATCH_RECORDS_MAX + 1)]
    await asyncio.sleep(0)

    gate.open.set()
    await asyncio.gather(first, *others)

    assert gate.transactions == 3
    assert len(await trail(database)) == BATCH_RECORDS_MAX + 2
    assert await audit.verify() is None


async def test_nobody_goes_on_before_the_commit(audit: AuditService, gate: Gate) -> None:
    gate.open.clear()
    waiting = asyncio.create_task(audit.record(record()))
    await gate.entered.wait()

    assert not waiting.done()
    gate.open.set()
    await waiting


async def test_a_full_queue_refuses_loudly(audit: AuditService, gate: Gate) -> None:
    gate.open.clear()
    first = asyncio.create_task(audit.record(record()))
    await gate.entered.wait()
    waiting = [asyncio.create_task(audit.record(record(n))) for n in range(QUEUE_RECORDS_MAX)]
    await asyncio.sleep(0)

    with pytest.raises(AuditUnavailable):
        await audit.record(record())

    gate.open.set()
    await asyncio.gather(first, *waiting)


@pytest.mark.parametrize("refusal", [DatabaseUnavailable(), RuntimeError("a defect")])
async def test_without_a_commit_there_is_a_refusal_and_then_life_goes_on(
    audit: AuditService, gate: Gate, database: Database, refusal: Exception
) -> None:
    gate.refusal = refusal
    outcomes = await asyncio.gather(
        *(audit.record(record(n)) for n in range(3)), return_exceptions=True
    )
    gate.refusal = None

    await audit.record(record(9))

    assert [type(outcome) for outcome in outcomes] == [AuditUnavailable] * 3
    assert [event.payload for event in await trail(database)] == [record(9).payload()]


async def test_a_wait_for_the_commit_ends(gate: Gate) -> None:
    impatient = AuditService(gate, record_wait_seconds=0.01)  # type: ignore[arg-type]
    await impatient.start()
    gate.open.clear()

    with pytest.raises(AuditUnavailable):
        await impatient.record(record())

    gate.open.set()
    await impatient.stop()


async def test_whoever_stops_waiting_harms_nobody(
    audit: AuditService, gate: Gate, database: Database
) -> None:
    gate.open.clear()
    leaving = asyncio.create_task(audit.record(record(1)))
    staying = asyncio.create_task(audit.record(record(2)))
    await gate.entered.wait()

    leaving.cancel()
    gate.open.set()
    await staying

    assert len(await trail(database)) == 2


async def test_a_record_of_bad_form_is_refused_before_it_joins_a_group(
    audit: AuditService, gate: Gate
) -> None:
    with pytest.raises(ValueError, match="short word"):
        await audit.record(
            AuditRecord(
                act=Act.LOGIN, outcome=Outcome.DONE, caller=SYSTEM, at=AT, reason="two words"
            )
        )

    assert gate.transactions == 0


async def test_stopping_writes_what_waits_and_takes_no_more(
    audit: AuditService, gate: Gate, database: Database
) -> None:
    gate.open.clear()
    waiting = [asyncio.create_task(audit.record(record(n))) for n in range(3)]
    await gate.entered.wait()
    stopping = asyncio.create_task(audit.stop())
    await asyncio.sleep(0)

    with pytest.raises(AuditUnavailable):
        await audit.record(record())
    gate.open.set()
    await asyncio.gather(stopping, *waiting)

    assert len(await trail(database)) == 3


async def test_before_the_start_nothing_is_recorded(database: Database) -> None:
    with pytest.raises(AuditUnavailable):
        await AuditService(database).record(record())


async def test_stopping_twice_is_fine(audit: AuditService) -> None:
    await audit.stop()
    await audit.stop()


@pytest.mark.parametrize(
    ("statement", "bad"),
    [
        ("UPDATE audit_events SET at = at + interval '1 microsecond' WHERE seq = 2", 2),
        ("UPDATE audit_events SET payload = payload || ' '::bytea WHERE seq = 2", 2),
        ("UPDATE audit_events SET hash = set_bit(hash, 0, 1 - get_bit(hash, 0)) WHERE seq = 2", 2),
        ("UPDATE audit_events SET seq = 9 WHERE seq = 2", 2),
        ("UPDATE audit_events SET chain = 'other' WHERE seq = 2", 2),
        ("DELETE FROM audit_events WHERE seq = 1", 1),
        ("DELETE FROM audit_events WHERE seq = 3", 3),
        ("DELETE FROM audit_events", 1),
        (COPY.format(seq="-5", source=1), 1),
        (COPY.format(seq="4", source=3), 4),
        ("UPDATE audit_chain_heads SET seq = 5", 4),
        ("UPDATE audit_chain_heads SET hash = set_byte(hash, 0, 255 - get_byte(hash, 0))", 4),
    ],
)
async def test_tampering_with_any_column_is_found(
    audit: AuditService, database: Database, statement: str, bad: int
) -> None:
    for n in range(3):
        await audit.record(record(n))
    assert await audit.verify() is None

    await tampered(database, statement)

    assert await audit.verify() == bad
