"""What the tests of the embedded PostgreSQL share: programs to kill, and what /proc tells."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import make_url

import backend
from backend.app.embedded import EmbeddedPostgres
from backend.app.embedded.account import Account, choose_account
from backend.app.embedded.home import Home, open_private, try_lock

_WAIT_SECONDS_MAX = 120.0
_POLL_SECONDS = 0.01
# The last is what asyncpg answers when it is asked again before it has noticed.
CONNECTION_LOST = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)

# Runs a supervisor until its standard input ends.
SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from backend.app.embedded import EmbeddedPostgres, EmbeddedPostgresError

async def main():
    server = EmbeddedPostgres(Path(sys.argv[1]))
    try:
        print(await server.start(), flush=True)
    except EmbeddedPostgresError as error:
        print(type(error).__name__, error, flush=True)
        return
    await asyncio.to_thread(sys.stdin.read)
    await server.stop()

asyncio.run(main())
"""


def python_path(*before: Path) -> str:
    """Compose the import path of a child, for an interpreter that is not the environment's."""
    own = Path(backend.__file__).parents[1]
    return os.pathsep.join(str(part) for part in (*before, own, *sys.path) if str(part))


@contextmanager
def supervisor(
    home: Path, python: str = sys.executable, *before: Path, **popen: Any
) -> Iterator["subprocess.Popen[str]"]:
    """Run a supervisor in a process of its own."""
    with subprocess.Popen(
        [python, "-c", SUPERVISOR, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": python_path(*before), "PATH": os.defpath},
        **popen,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def no_server_is_left(home: Path) -> bool:
    """Say whether every process of the server has ended."""
    descriptor = open_private(Home(home).server_lock)
    try:
        return try_lock(descriptor)
    finally:
        os.close(descriptor)


def said(process: "subprocess.Popen[str]") -> str:
    """Return the next line a child prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


async def connect(url: str) -> Any:
    """Connect beneath SQLAlchemy."""
    return await asyncpg.connect(
        make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    )


async def ask(url: str, query: str) -> Any:
    """Ask one value on a connection of its own."""
    connection = await connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def ask_rows(url: str, query: str) -> list[Any]:
    """Ask rows on a connection of its own."""
    connection = await connect(url)
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


async def ask_when_back(url: str, query: str) -> Any:
    """Ask one value as soon as somebody answers."""
    until = time.monotonic() + _WAIT_SECONDS_MAX
    while True:
        try:
            return await ask(url, query)
        except CONNECTION_LOST:
            assert time.monotonic() < until, "the server did not come back"
            await asyncio.sleep(_POLL_SECONDS)


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for something that happens in another process."""
    until = time.monotonic() + _WAIT_SECONDS_MAX
    while not holds():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(_POLL_SECONDS)


def account_of(home: Path) -> Account:
    """Say who runs the server of a directory."""
    return choose_account(os.geteuid(), home, Home(home).cluster)


def as_account(account: Account) -> dict[str, Any]:
    """Return what makes `subprocess` start a program as the server's account."""
    if not account.dropped:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


@contextmanager
def running(home: Path) -> Iterator[str]:
    """Run a server here, for tests that need no event loop around it."""
    server = EmbeddedPostgres(home)
    yield asyncio.run(server.start())
    asyncio.run(server.stop())
