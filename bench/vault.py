"""What opening a secret costs over a bare Fernet, and a record over a bare commit.

    python -m bench.vault [url of a PostgreSQL server]

Opening is pure and always measured. The audit trail is measured against a database of its own on
the given server (or `STRONGROOM_TEST_POSTGRES`), created and dropped by this run; the reference
is one row in one transaction through the same pool.
"""

import asyncio
import math
import os
import statistics
import sys
import time
import timeit
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from cryptography.fernet import Fernet
from sqlalchemy import text

from backend.app.audit_record import Act, Actor, ActorType, AuditRecord, Caller, Outcome
from backend.app.config import DatabaseSettings
from backend.app.database import Database
from backend.app.secret_value import SecretValue
from backend.app.services.audit_service import AuditService
from backend.app.services.crypto_service import CryptoService
from backend.app.services.envelope import FieldContext
from backend.app.services.key_ring import KeyRing
from backend.tests.support.databases import copy_of, make_template

_SECRET = "x" * 64
_CALLS = 3_000
_REPEATS = 5
_OPENING_RATIO_GOAL = 10.0
_WAITERS = 64
_RECORDS_EACH = 100
_SINGLE_RECORDS = 200


def _microseconds(call: Callable[[], object]) -> float:
    return min(timeit.repeat(call, number=_CALLS, repeat=_REPEATS)) / _CALLS * 1e6


async def _microseconds_awaited(call: Callable[[], Awaitable[object]]) -> float:
    best = math.inf
    for _ in range(_REPEATS):
        started = time.perf_counter()
        for _ in range(_CALLS):
            await call()
        best = min(best, time.perf_counter() - started)
    return best / _CALLS * 1e6


async def _openings() -> None:
    crypto = CryptoService(KeyRing.from_environment(CryptoService.generate_key()))
    await crypto.unlock(await crypto.new_dek(0))
    key = await crypto.new_dek(7)
    field = FieldContext(7, "api_credentials", 42, "encrypted_api_secret", 1, key.dek_id)
    sealed = await crypto.encrypt(SecretValue(_SECRET), field, key)
    bare = Fernet(Fernet.generate_key())
    token = bare.encrypt(_SECRET.encode())

    async def open_cold() -> None:
        crypto.forget(key)
        await crypto.decrypt(sealed, field, key)

    reference = _microseconds(lambda: bare.decrypt(token))
    warm = await _microseconds_awaited(lambda: crypto.decrypt(sealed, field, key))
    cold = await _microseconds_awaited(open_cold)
    met = "met" if warm / reference < _OPENING_RATIO_GOAL else "MISSED"
    print(
        f"{'open, data key in memory':<34} {warm:>8.1f} us {reference:>8.1f} us"
        f" {warm / reference:>6.2f}x  goal < {_OPENING_RATIO_GOAL}x {met}"
    )
    # Two tokens and two derivations; once a minute and key, beside a read of the database.
    print(
        f"{'open, data key unwrapped first':<34} {cold:>8.1f} us {reference:>8.1f} us"
        f" {cold / reference:>6.2f}x"
    )


async def _timed(act: Callable[[], Awaitable[None]], count: int, into: list[float]) -> None:
    for _ in range(count):
        started = time.perf_counter()
        await act()
        into.append((time.perf_counter() - started) * 1000)


async def _trail(server_url: str) -> None:
    template = await make_template(server_url)
    async with copy_of(server_url, template) as url:
        database = Database(url, DatabaseSettings(_env_file=None))
        audit = AuditService(database)
        await audit.start()
        caller = Caller(Actor(ActorType.USER, 7), "0f" * 16, "192.0.2.1")

        async def record() -> None:
            now = datetime.now(UTC)
            await audit.record(
                AuditRecord(act=Act.CREDENTIAL_USED, outcome=Outcome.ALLOWED, caller=caller, at=now)
            )

        async def one_row() -> None:
            async with database.transaction() as session:
                await session.execute(text("INSERT INTO bench_rows VALUES (1)"))

        async with database.transaction() as session:
            await session.execute(text("CREATE TABLE bench_rows (n integer)"))
        reference: list[float] = []
        single: list[float] = []
        grouped: list[float] = []
        await _timed(one_row, _SINGLE_RECORDS, reference)
        await _timed(record, _SINGLE_RECORDS, single)
        started = time.perf_counter()
        await asyncio.gather(*(_timed(record, _RECORDS_EACH, grouped) for _ in range(_WAITERS)))
        seconds = time.perf_counter() - started
        bare_ms = statistics.median(reference)
        for name, times in (
            ("record, nobody else", single),
            (f"record, {_WAITERS} at once", grouped),
        ):
            ours_ms = statistics.median(times)
            print(f"{name:<34} {ours_ms:>8.2f} ms {bare_ms:>8.2f} ms {ours_ms / bare_ms:>6.2f}x")
        print(f"{'records a second, 64 at once':<34} {len(grouped) / seconds:>8.0f}")
        await audit.stop()
        await database.close()


def main() -> None:
    asyncio.run(_openings())
    server_url = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("STRONGROOM_TEST_POSTGRES")
    if server_url:
        asyncio.run(_trail(server_url))
    else:
        print("audit trail: not measured, no server given")


if __name__ == "__main__":
    main()
