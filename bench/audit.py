"""What the audit trail costs: a record before each use, and the proof of a long chain.

    python -m bench.audit [url of a PostgreSQL server]

Without a URL (or `STRONGROOM_TEST_POSTGRES`) it brings a server along. The reference for a record
is what one would write without thinking: one transaction per event through the pool, 64 at once.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from backend.app.audit_record import Act, Actor, ActorType, AuditRecord, Caller, Outcome
from backend.app.config import DatabaseSettings
from backend.app.database import Database
from backend.app.embedded import EmbeddedPostgres
from backend.app.repositories.audit_appender import AuditAppender
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.services.audit_service import AuditService
from backend.tests.support.databases import copy_of, make_template

_WAITERS = 64
_ROUNDS = 3
_GROUPED_EACH = 400
_REFERENCE_EACH = 12
_ALONE = 300
_GAIN_GOAL = 10.0
_PER_SECOND_GOAL = 20_000
_P50_MS_GOAL = 2.0

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


async def _measure(server_url: str) -> None:
    template = await make_template(server_url)
    async with copy_of(server_url, template) as url:
        database = Database(url, DatabaseSettings(_env_file=None))
        await _records(database)
        await database.close()


async def main() -> None:
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
    asyncio.run(main())
