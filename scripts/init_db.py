"""Bring the database in DATABASE_URL to the newest form, creating it if it is missing.

Where DATABASE_DIRECT_URL is set it goes that way, past the pooler.

Waits, within a bound, for a server that is still starting. Running it again changes nothing, and
any number may run at once. It prints no password.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from asyncpg import PostgresError
from sqlalchemy import URL, exc, make_url, pool, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from backend.app.config import Settings
from backend.app.database import async_url
from backend.app.errors import ConfigurationError
from backend.app.migrations import migrate

_WAIT_SECONDS: Final = 30.0
_WAIT_SECONDS_MAX: Final = 3600.0
_CONNECT_SECONDS_MAX: Final = 3.0
_PAUSE_SECONDS: Final = 0.25
# Every server has this database; one can only be created from within another.
_ALWAYS_THERE: Final = "postgres"

# SQLSTATEs. Source: PostgreSQL 18 documentation, appendix A.
_NOT_NOW: Final = frozenset({"08", "53", "57"})
_LOGIN_REFUSED: Final = "28"
_DATABASE_MISSING: Final = "3D000"
_NOT_ALLOWED: Final = "42501"
# Another instance was faster: the name is taken, or was taken in the very same moment.
_CREATED_MEANWHILE: Final = frozenset({"42P04", "23505"})


class _Refused(Exception):
    """The server answered, and said no."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


class Away(Exception):
    """No server answered in time."""


def main() -> int:
    """Wait, create, migrate; what the user can mend is told in a line."""
    wait_seconds = _arguments().wait_seconds
    try:
        url = _configured_url()
        bring_up_to_date(url, wait_seconds)
    except ConfigurationError as error:
        print(f"init_db: {error}", file=sys.stderr)
        return 2
    except Away as away:
        print(f"init_db: {away}", file=sys.stderr)
        return 1
    print(f"init_db: database {url.database} at {_place(url)} has the newest form.")
    return 0


def bring_up_to_date(url: URL, wait_seconds: float) -> None:
    """Wait for the server, create the database if it is missing, and migrate it.

    Raises:
        ConfigurationError: the server refuses what DATABASE_URL asks for.
        Away: it did not answer in time.
    """
    asyncio.run(_prepare(url, wait_seconds))
    _migrate(url)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Create and migrate the database.")
    parser.add_argument(
        "--wait-seconds",
        type=_seconds,
        default=_WAIT_SECONDS,
        metavar="SECONDS",
        help="how long a server may take to answer (default: %(default)s)",
    )
    return parser.parse_args()


def _seconds(value: str) -> float:
    seconds = float(value)
    if not 0 <= seconds <= _WAIT_SECONDS_MAX:
        raise ValueError
    return seconds


def _configured_url() -> URL:
    database = Settings.load(Path(".env")).database
    # A database is not created, and a lock of a session not held, through a pooler.
    secret = database.database_direct_url or database.database_url
    if secret is None or not secret.get_secret_value():
        raise ConfigurationError(
            "DATABASE_URL is not set. Expected form: postgresql://USER:PASSWORD@HOST:5432/DATABASE"
        )
    return make_url(async_url(secret.get_secret_value()))


async def _prepare(url: URL, wait_seconds: float) -> None:
    try:
        await _answer(url, wait_seconds)
    except _Refused as refusal:
        if refusal.state != _DATABASE_MISSING:
            raise ConfigurationError(_advice(url, refusal.state)) from None
        await _create(url)


async def _answer(url: URL, wait_seconds: float) -> None:
    """Return once the server lets us in; until then, or until the time is over, ask again."""
    deadline = time.monotonic() + wait_seconds
    told = False
    while True:
        try:
            async with _connected(url):
                return
        except Away:
            if time.monotonic() >= deadline:
                raise Away(
                    f"no PostgreSQL answered at {_place(url)} within {wait_seconds:g} s. "
                    "Is it running, and is that the address meant by DATABASE_URL?"
                ) from None
        if not told:
            told = True
            print(f"init_db: waiting for PostgreSQL at {_place(url)} ...", flush=True)
        await asyncio.sleep(_PAUSE_SECONDS)


async def _create(url: URL) -> None:
    try:
        async with _connected(url.set(database=_ALWAYS_THERE)) as connection:
            quote = connection.dialect.identifier_preparer.quote_identifier
            await connection.execute(text(f"CREATE DATABASE {quote(url.database or '')}"))
    except _Refused as refusal:
        if refusal.state not in _CREATED_MEANWHILE:
            raise ConfigurationError(
                f"database {url.database} does not exist and user {url.username} cannot create "
                f"it (SQLSTATE {refusal.state}). As an administrator of the server: "
                f'CREATE DATABASE "{url.database}" OWNER "{url.username}"'
            ) from None


def _migrate(url: URL) -> None:
    try:
        migrate(url.render_as_string(hide_password=False))
    except exc.DBAPIError as error:
        if _state(error) != _NOT_ALLOWED:
            raise
        raise ConfigurationError(_advice(url, _NOT_ALLOWED)) from None


@asynccontextmanager
async def _connected(url: URL) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(
        url,
        poolclass=pool.NullPool,
        hide_parameters=True,
        isolation_level="AUTOCOMMIT",
        connect_args={"timeout": _CONNECT_SECONDS_MAX},
    )
    try:
        async with engine.connect() as connection:
            yield connection
    except OSError:
        raise Away from None
    except (exc.DBAPIError, PostgresError) as error:
        state = _state(error)
        raise Away if state[:2] in _NOT_NOW else _Refused(state) from None
    finally:
        await engine.dispose()


def _state(error: exc.DBAPIError | PostgresError) -> str:
    # Connecting fails with the driver's own error, a statement with SQLAlchemy's around it.
    return getattr(getattr(error, "orig", error), "sqlstate", None) or ""


def _advice(url: URL, state: str) -> str:
    if state[:2] == _LOGIN_REFUSED:
        return f"{_place(url)} refuses the user or the password in DATABASE_URL."
    if state == _NOT_ALLOWED:
        return f"user {url.username} may not create tables in database {url.database}."
    return f"{_place(url)} refuses the connection (SQLSTATE {state})."


def _place(url: URL) -> str:
    # A Unix socket's directory stands in the query, where the host would not be legal.
    return f"{url.host}:{url.port or 5432}" if url.host else str(url.query.get("host", "localhost"))


if __name__ == "__main__":
    raise SystemExit(main())
