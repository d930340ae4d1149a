"""What the audit trail costs: a record before each use, and the proof of a long chain.

    python -m bench.audit [url of a PostgreSQL server]

Without a URL (or `STRONGROOM_TEST_POSTGRES`) it brings a server along. The reference for a record
is what one would write without thinking: one transaction per event through the pool, 64 at once.
"""

import asyncio
import json
import os
import secrets
import sys
import tempfile
import time
import timeit
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from statistics import median

from pydantic import SecretStr
from sqlalchemy import text
from uvicorn.loops.auto import auto_loop_factory

from backend.app.audit_chain import GENESIS, extend, verify_chain
from backend.app.audit_record import Act, Actor, ActorType, AuditRecord, Caller, Outcome
from backend.app.config import DatabaseSettings
from backend.app.container import Container
from backend.app.database import Database
from backend.app.embedded import EmbeddedPostgres
from backend.app.repositories.audit_appender import AuditAppender
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.schemas.credential_schemas import CredentialCreate
from backend.app.services.audit_service import AuditService
from backend.app.services.audit_verification import AuditVerification
from backend.tests.support.databases import copy_of, make_template
from backend.tests.support.fake_connector import FakeConnector
from backend.tests.support.people import person
from backend.tests.support.settings import settings_for_tests

_WAITERS = 64
_ROUNDS = 3
_GROUPED_EACH = 400
_REFERENCE_EACH = 6
_ALONE = 300
_BINDS = 90
_GAIN_GOAL = 10.0
_PER_SECOND_GOAL = 20_000
_P50_MS_GOAL = 2.0

_PROVED_EVENTS = 100_000
_PROVED_PER_SECOND_GOAL = 200_000
_FETCH = (
    "SELECT seq, at, payload, hash FROM audit_events "
    "WHERE chain = 'main' AND seq > $1 ORDER BY seq LIMIT 5000"
)

Act_ = Callable[[], Awaitable[None]]


async def _timed(act: Act_, count: int, into: list[float]) -> None:
    for _ in range(count):
        started = time.perf_counter()
        await act()
        into.append((time.perf_counter() - started) * 1000)


async def _together(act: Act_, each: int) -> tuple[float, float]:
    """Return how many a second, and the median wait in milliseconds, of 64 in a closed loop."""
    waits: list[float] = []
    started = time.perf_counter()
    await asyncio.gather(*(_timed(act, each, waits) for _ in range(_WAITERS)))
    return len(waits) / (time.perf_counter() - started), median(waits)


async def _alone(act: Act_) -> float:
    waits: list[float] = []
    await _timed(act, _ALONE, waits)
    return median(waits)


def _said(name: str, ours: float, reference: float, gain: float, goal: str, *, met: bool) -> None:
    print(
        f"{name:<36} {ours:>10.2f} {reference:>10.2f} {gain:>7.2f}x"
        f"  {goal} {'met' if met else 'MISSED'}"
    )


async def _records(database: Database) -> None:
    audit = AuditService(AuditAppender(database))
    await audit.start()
    caller = Caller(Actor(ActorType.USER, 7, "3f" * 16), "0f" * 16, "192.0.2.1")

    def used() -> AuditRecord:
        return AuditRecord(
            act=Act.CREDENTIAL_USED, outcome=Outcome.ALLOWED, caller=caller, at=datetime.now(UTC)
        )

    async def record() -> None:
        await audit.record(used())

    async def transaction_each() -> None:
        async with database.transaction() as session:
            await AuditRepository(session).append([used()])

    await _alone(record)
    rounds = []
    for _ in range(_ROUNDS):
        reference = await _together(transaction_each, _REFERENCE_EACH)
        grouped = await _together(record, _GROUPED_EACH)
        rounds.append((*grouped, *reference, await _alone(record), await _alone(transaction_each)))
    rate, p50, rate_each, p50_each, alone, alone_each = (
        median(each) for each in zip(*rounds, strict=True)
    )
    print(f"{'':<36} {'ours':>10} {'reference':>10}")
    gain = rate / rate_each
    _said(
        "records a second, 64 at once", rate, rate_each, gain, f"goal >= {_GAIN_GOAL}x",
        met=gain >= _GAIN_GOAL,
    )  # fmt: skip
    _said(
        "  of them a second, whatever the gain", rate, rate_each, gain,
        f"goal >= {_PER_SECOND_GOAL}/s", met=rate >= _PER_SECOND_GOAL,
    )  # fmt: skip
    _said(
        "wait, 64 at once, p50 ms", p50, p50_each, p50_each / p50, f"goal <= {_P50_MS_GOAL} ms",
        met=p50 <= _P50_MS_GOAL,
    )  # fmt: skip
    _said("wait, nobody else, p50 ms", alone, alone_each, alone_each / alone, "", met=True)
    await audit.stop()


def _cost_alone() -> None:
    """Show what one record, and one link's proof, cost in CPU when nothing else runs."""
    caller = Caller(Actor(ActorType.USER, 7, "3f" * 16), "0f" * 16, "192.0.2.1")
    record = AuditRecord(
        act=Act.CREDENTIAL_USED, outcome=Outcome.ALLOWED, caller=caller, at=datetime.now(UTC)
    )
    payload = record.payload()
    link = extend(GENESIS, payload)
    links = [(1, record.at, payload, link.hash)]
    told = json.loads(payload)
    compose = _microseconds(record.payload)
    library = _microseconds(lambda: json.dumps(told, sort_keys=True, separators=(",", ":")))
    prove = _microseconds(lambda: verify_chain(links))
    bare = _microseconds(lambda: sha256(payload).digest())
    print(f"{'compose a record, us; the library':<36} {compose:>10.2f} {library:>10.2f}")
    print(f"{'prove a link, us; one bare SHA-256':<36} {prove:>10.2f} {bare:>10.2f}")


def _microseconds(call: Callable[[], object]) -> float:
    return min(timeit.repeat(call, number=5_000, repeat=5)) / 5_000 * 1e6


async def _proof(database: Database) -> None:
    """Prove a long trail; the reference only fetches the same rows, and does nothing with them."""
    audit = AuditAppender(database)
    caller = Caller(Actor(ActorType.USER, 7, "3f" * 16), "0f" * 16, "192.0.2.1")
    written = AuditRecord(
        act=Act.CREDENTIAL_USED, outcome=Outcome.ALLOWED, caller=caller, at=datetime.now(UTC)
    ).written()
    for _ in range(_PROVED_EVENTS // 5_000):
        await audit.append([written] * 5_000)
    audit.close()
    rates, fetches = [], []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        proof = await AuditVerification(database, None).run()
        rates.append(proof.events / (time.perf_counter() - started))
        assert proof.finding is None, proof.finding
        started = time.perf_counter()
        connection = await database.own_connection()
        rows, reached = 1, 0
        while rows:
            page = await connection.fetch(_FETCH, reached)
            rows, reached = len(page), page[-1]["seq"] if page else 0
        fetches.append(proof.events / (time.perf_counter() - started))
        await connection.close()
    rate, fetch = median(rates), median(fetches)
    _said(
        "events proved a second; only fetched", rate, fetch, rate / fetch,
        f"goal >= {_PROVED_PER_SECOND_GOAL}/s", met=rate >= _PROVED_PER_SECOND_GOAL,
    )  # fmt: skip


async def _bind(url: str) -> None:
    """Show what the audit row adds to a bind: the same transaction with it and without it."""
    services = Container(settings_for_tests(), url, connector=FakeConnector())
    await services.open()
    alice = await person(services, "alice")
    row = AuditRecord(
        act=Act.CREDENTIAL_CREATED,
        outcome=Outcome.ALLOWED,
        caller=alice.caller,
        at=services.clock(),
    )

    async def bind() -> None:
        asked = CredentialCreate(
            exchange_name="binance",
            api_key=secrets.token_hex(32),
            api_secret=SecretStr(secrets.token_hex(32)),
        )
        await services.credentials.create(alice.user_id, asked, alice.caller)

    async def transaction(*rows: AuditRecord) -> None:
        async with services.database.transaction() as session:
            await session.execute(text("UPDATE users SET updated_at = now()"))
            if rows:
                await AuditRepository(session).append(rows)

    waits: dict[str, list[float]] = {"bind": [], "with": [], "without": []}
    for _ in range(_BINDS):
        await _timed(bind, 1, waits["bind"])
        await _timed(lambda: transaction(row), 1, waits["with"])
        await _timed(transaction, 1, waits["without"])
    whole, added = median(waits["bind"]), median(waits["with"]) - median(waits["without"])
    print(f"{'a bind, ms; its audit row':<36} {whole:>10.2f} {added:>10.2f} {added / whole:>7.2f}x")
    await services.stop()


async def _measure(server_url: str) -> None:
    template = await make_template(server_url)
    async with copy_of(server_url, template) as url:
        await _bind(url)
    async with copy_of(server_url, template) as url:
        database = Database(url, DatabaseSettings(_env_file=None))
        await _records(database)
        await _proof(database)
        await database.close()


async def main() -> None:
    _cost_alone()
    given = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("STRONGROOM_TEST_POSTGRES")
    if given:
        await _measure(given)
        return
    with tempfile.TemporaryDirectory(prefix="strongroom-bench-") as directory:
        server = EmbeddedPostgres(Path(directory) / "postgres")
        try:
            await _measure(await server.start())
        finally:
            await server.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        runner.run(main())
