"""Fresh databases for tests: migrated once, then copied, in a few hundredths of a second each."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
from sqlalchemy.engine import make_url

from backend.app.migrations import migrate

_END_OUR_CONNECTIONS = (
    "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
    " WHERE datname = $1 AND usename = current_user"
)


def driver_url(url: str) -> str:
    """Return the address as asyncpg itself wants it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def with_database(url: str, name: str) -> str:
    """Return the address of another database of the same server."""
    return make_url(url).set(database=name).render_as_string(hide_password=False)


@asynccontextmanager
async def server_connection(url: str) -> AsyncIterator[Any]:
    """Open one connection beneath SQLAlchemy, for what cannot run in a transaction."""
    connection = await asyncpg.connect(driver_url(url))
    try:
        yield connection
    finally:
        await connection.close()


async def make_template(url: str, revision: str = "head") -> str:
    """Create a migrated database to copy from, and return its name."""
    name = f"template_{uuid4().hex}"
    async with server_connection(url) as connection:
        await connection.execute(f"CREATE DATABASE {name}")
    await asyncio.to_thread(migrate, with_database(url, name), revision)
    return name


async def make_copy(url: str, template: str) -> str:
    """Create a copy that stays as long as the server, and return its name."""
    name = f"template_{uuid4().hex}"
    async with server_connection(url) as connection:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return name


@asynccontextmanager
async def copy_of(url: str, template: str) -> AsyncIterator[str]:
    """Yield the address of a fresh copy, dropped afterwards."""
    name = f"test_{uuid4().hex}"
    async with server_connection(url) as connection:
        # Copied as files: through the log, page by page, costs the server three times as much.
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        try:
            yield with_database(url, name)
        finally:
            await drop_database(connection, name)


async def drop_database(connection: Any, name: str) -> None:
    """Drop a database, if it is there, whoever of ours is still connected to it."""
    # WITH (FORCE) refuses where autovacuum, which is not ours to end, is at work.
    await connection.execute(_END_OUR_CONNECTIONS, name)
    await connection.execute(f'DROP DATABASE IF EXISTS "{name}"')
