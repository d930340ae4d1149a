"""What the watch holds in memory while it tries a thousand stored keys again.

    python -m bench.watch [keys]

The keys are really stored, sealed and opened, and asked about over HTTP at a sandbox in a process
of its own, as is the database. Before the start each exchange has been asked twenty times, so that
what is kept once (CCXT, connections, their prepared statements) stands on neither side. What grows
then is what is kept of a key: its unwrapped data key, for a minute, of 1,000 keys at most.
"""

import asyncio
import ctypes
import gc
import os
import secrets
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import text

from backend.app.audit_record import SYSTEM
from backend.app.clock import utc_now
from backend.app.config import Settings
from backend.app.container import Container
from backend.app.enums import Environment
from backend.app.exchanges.registry import SUPPORTED
from backend.app.logs import configure_logging
from backend.app.migrations import migrate
from backend.app.schemas.credential_schemas import CredentialCreate
from backend.app.workers.credential_watch import CredentialWatch
from bench._support import postgres
from bench.sandbox_process import BenchSandbox, sandbox_process

_KEYS = 1000
_WARM_UP = 160
_BYTES_A_KEY_GOAL = 2048
_FLAT_GOAL = 1.03
_INTERVAL = timedelta(hours=24)
_USER = (
    "INSERT INTO users (username, email, hashed_password)"
    " VALUES (:name, :email, 'no password matches this') RETURNING id"
)


def _resident_bytes() -> int:
    """Return what the process holds, without what it would give back if somebody asked."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def _house(database_url: str, sandbox: BenchSandbox) -> AsyncIterator[Container]:
    os.environ |= {
        "ENCRYPTION_KEY": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "JWT_SECRET": secrets.token_urlsafe(48),
        "SANDBOX_URL": sandbox.base_url,
        # The watch is ticked here, without its pauses.
        "CREDENTIAL_CHECK_INTERVAL_HOURS": "0",
        "LOG_LEVEL": "WARNING",
    }
    settings = Settings.load()
    configure_logging(settings.server)
    container = Container(settings, database_url)
    await container.start()
    yield container
    await container.stop()


async def _bind(services: Container, sandbox: BenchSandbox, count: int) -> None:
    """Store so many keys: each user has the same eight, one of each exchange."""
    for number in range(count):
        exchange = SUPPORTED[number % len(SUPPORTED)]
        if number % len(SUPPORTED) == 0:
            async with services.database.transaction() as session:
                names = {"name": f"user{number}", "email": f"user{number}@example.com"}
                owner = await session.scalar(text(_USER), names)
        keys = sandbox.account(exchange).keys
        asked = CredentialCreate(
            exchange_name=exchange,
            api_key=keys.api_key,
            api_secret=SecretStr(keys.api_secret),
            passphrase=SecretStr(keys.passphrase) if keys.passphrase else None,
            verify=False,
        )
        await services.credentials.create(owner or 0, asked, SYSTEM)


async def _all_due(services: Container) -> None:
    async with services.database.transaction() as session:
        await session.execute(text("UPDATE api_credentials SET next_check_at = now()"))


async def _tried(services: Container) -> int:
    async with services.database.snapshot() as session:
        counted = await session.execute(
            text(
                "SELECT count(*), count(*) FILTER (WHERE standing = 'valid') FROM credential_checks"
            )
        )
        every, valid = counted.one()
    assert every == valid, f"{every - valid} of {every} checks found a key that is not valid"
    return int(every)


async def _measure(services: Container, count: int) -> list[tuple[int, int]]:
    """Return after how many verifications the process held how many bytes."""
    watch = CredentialWatch(
        services.database, services.credentials, Environment.SANDBOX, _INTERVAL, utc_now
    )
    await _all_due(services)
    while await _tried(services) < min(_WARM_UP, count):
        await watch.tick()
    await _all_due(services)
    before, done = await _tried(services), 0
    steps = [step for step in (0, 100, 250, 500, 750, count) if step <= count]
    seen: list[tuple[int, int]] = []
    while len(seen) < len(steps):
        if done >= steps[len(seen)]:
            seen.append((done, _resident_bytes()))
            continue
        await watch.tick()
        done = await _tried(services) - before
    return seen


def _report(seen: list[tuple[int, int]], seconds: float) -> None:
    start = seen[0][1]
    print(f"{'verified again':>14} {'memory':>12} {'to start':>9}")
    for done, held in seen:
        print(f"{done:>14} {held / 2**20:>8.1f} MiB {held / start:>8.3f}x")
    done, held = seen[-1]
    a_key = (held - start) / done
    met = "met" if a_key <= _BYTES_A_KEY_GOAL else "MISSED"
    flat = "met" if held / start <= _FLAT_GOAL else "MISSED"
    print(f"memory of one more credential {a_key:>8.0f} bytes  goal <= {_BYTES_A_KEY_GOAL} {met}")
    print(f"memory at the end to the start {held / start:>7.3f}x  goal <= {_FLAT_GOAL}x {flat}")
    print(f"verified again without a pause {done / seconds:>7.0f} a second")


async def _main(database_url: str, sandbox: BenchSandbox, count: int) -> None:
    async with _house(database_url, sandbox) as services:
        await _bind(services, sandbox, count)
        started = time.perf_counter()
        seen = await _measure(services, count)
        _report(seen, time.perf_counter() - started)


if __name__ == "__main__":
    keys = int(sys.argv[1]) if len(sys.argv) > 1 else _KEYS
    with postgres() as url, sandbox_process() as running:
        migrate(url)
        asyncio.run(_main(url, running, keys))
