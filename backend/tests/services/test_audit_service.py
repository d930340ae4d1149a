"""Record, commit, then act: in groups, within bounds, and never without a commit."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest

from backend.app.audit_record import (
    SYSTEM,
    Act,
    Actor,
    ActorType,
    AuditObject,
    AuditRecord,
    Caller,
    Outcome,
    WrittenRecord,
)
from backend.app.database import Database
from backend.app.errors import AuditUnavailable, DatabaseUnavailable
from backend.app.repositories.audit_appender import AuditAppender
from backend.app.repositories.audit_repository import SEQ_MIN, AuditRepository, StoredEvent
from backend.app.services.audit_service import (
    BATCH_RECORDS_MAX,
    QUEUE_RECORDS_MAX,
    AuditService,
)
from backend.app.services.use_watch import CREDENTIALS_PER_ACTOR_MAX

AT = datetime(2026, 11, 21, tzinfo=UTC)


class Gate:
    """The way to the database, which can be held shut, counted or made to fail."""

    def __init__(self, database: Database) -> None:
        self._appender = AuditAppender(database)
        self.open = asyncio.Event()
        self.open.set()
        self.entered = asyncio.Event()
        self.transactions = 0
        self.refusal: Exception | None = None

    async def append(self, records: Sequence[WrittenRecord]) -> None:
        self.transactions += 1
        self.entered.set()
        await self.open.wait()
        if self.refusal is not None:
            raise self.refusal
        await self._appender.append(records)

    def close(self) -> None:
        self._appender.close()


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
    # Who waits too long is another test's story; a busy machine takes its time.
    service = AuditService(gate, record_wait_seconds=60)
    await service.start()
    yield service
    gate.open.set()
    await service.stop()


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
    impatient = AuditService(gate, record_wait_seconds=0.01)
    await impatient.start()
    gate.open.clear()

    with pytest.raises(AuditUnavailable):
        await impatient.record(record())

    gate.open.set()
    await impatient.stop()


async def test_whoever_waited_too_long_for_a_place_in_a_group_is_refused_too(gate: Gate) -> None:
    impatient = AuditService(gate, record_wait_seconds=0.05)
    await impatient.start()
    gate.open.clear()
    first = asyncio.create_task(impatient.record(record()))
    await gate.entered.wait()
    others = [asyncio.create_task(impatient.record(record(n))) for n in range(3)]

    outcomes = await asyncio.gather(first, *others, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [AuditUnavailable] * 4
    gate.open.set()
    await impatient.stop()


async def test_more_credentials_than_anybody_needs_raise_an_alarm(
    audit: AuditService, database: Database
) -> None:
    mallory = Caller(Actor(ActorType.USER, 7))
    for n in range(CREDENTIALS_PER_ACTOR_MAX + 1):
        thing = AuditObject("credential", n, 7)
        await audit.record(
            AuditRecord(
                act=Act.CREDENTIAL_USED,
                outcome=Outcome.ALLOWED,
                caller=mallory,
                at=AT,
                object=thing,
            )
        )
    await audit.record(record())

    told = [json.loads(event.payload) for event in await trail(database)]

    assert [event["act"] for event in told[-2:]] == ["alarm.many_credentials", "session.login"]
    assert told[-2]["actor"] == {"id": 7, "type": "user"}
    assert told[-2]["n"] == CREDENTIALS_PER_ACTOR_MAX + 1


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
        await AuditService(AuditAppender(database)).record(record())


async def test_stopping_twice_is_fine(audit: AuditService) -> None:
    await audit.stop()
    await audit.stop()
