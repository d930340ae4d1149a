"""The way to PostgreSQL: one engine, two kinds of block.

What is indented under `transaction()` is atomic; `snapshot()` reads one consistent moment and
cannot write. An outage of the database becomes one refusal here and nowhere else.

The blocks may go through a pooler that lends a server's session for one transaction at a time:
nothing in them outlives the transaction. What needs a session of its own, to listen or to hold a
lock, takes `own_connection()`, which goes past the pooler.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, Final

import asyncpg
from sqlalchemy import exc, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from backend.app.config import DatabaseSettings
from backend.app.errors import BadRequest, ConfigurationError, DatabaseUnavailable

# Of the time that somebody waits for a connection at the most, so much may go into opening one.
_CONNECT_SHARE: Final = 0.6
_RETRY_AFTER_SECONDS: Final = 2
# SQLSTATE classes that say "not now" rather than "not so": connection trouble, resources
# exhausted, operator intervention, system error.
# Source: PostgreSQL 18 documentation, appendix A.
_OUTAGE_CLASSES: Final = frozenset({"08", "53", "57", "58"})
# A character that no text of PostgreSQL can hold: the one with the number zero.
_NO_CHARACTER: Final = "22021"
# Through a pooler in transaction mode. The next transaction may get another server's session,
# which knows no statement we prepared: without these caches asyncpg sends each one unnamed, with
# what runs it. And PgBouncer refuses a client that sets what it does not track, as the timeouts:
# there `connect_query` sets them (docs/runbook.md, "Load and pooling"; `strongroom doctor` looks).
# Source: asyncpg 0.31 connection.py, `_get_statement`; PgBouncer 1.18 config.md,
# `ignore_startup_parameters`, `connect_query`.
_LENT_ARGS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "server_settings": {"application_name": "strongroom", "timezone": "UTC"},
    }
)


class Database:
    """PostgreSQL, as the services see it."""

    def __init__(self, url: str, settings: DatabaseSettings) -> None:
        direct = settings.database_direct_url
        self._own_url = make_url(
            async_url(url) if direct is None else async_url(direct.get_secret_value())
        )
        self._own_args = _own_args(settings)
        self.engine = create_async_engine(
            async_url(url),
            pool_size=settings.database_pool_size,
            max_overflow=settings.database_max_overflow,
            pool_pre_ping=settings.database_pool_pre_ping,
            pool_timeout=settings.database_pool_timeout_seconds,
            # An error's text would otherwise show the values of the statement.
            hide_parameters=True,
            connect_args=self._own_args if direct is None else _lent_args(settings),
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        # The pool's own queue lets newcomers pass those who wait: under load some would wait until
        # they are refused. So nobody waits in it; who comes first here is served first.
        # Source: SQLAlchemy 2.1 util/queue.py, `AsyncAdaptedQueue.get`; asyncio.Semaphore is fair.
        self._places = asyncio.Semaphore(
            settings.database_pool_size + settings.database_max_overflow
        )
        self._wait_seconds_max = settings.database_pool_timeout_seconds

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Open a block that is committed whole, or leaves nothing behind.

        Raises:
            DatabaseUnavailable: no connection, or it broke before the commit was acknowledged.
        """
        async with self._place(), outages_translated(), self._sessions.begin() as session:
            yield session

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncSession]:
        """Open a read-only block that sees one moment of the database.

        Raises:
            DatabaseUnavailable: no connection, or it broke while reading.
        """
        async with self._place(), outages_translated(), self._sessions.begin() as session:
            await session.connection(
                execution_options={
                    "isolation_level": "REPEATABLE READ",
                    "postgresql_readonly": True,
                }
            )
            yield session

    async def own_connection(self) -> asyncpg.Connection:
        """Open a connection beneath SQLAlchemy, for whoever counts round trips; close it yourself.

        It is a session of ours alone also where the blocks go through a pooler.

        Raises:
            DatabaseUnavailable: none could be opened.
        """
        place, names = self.engine.dialect.create_connect_args(self._own_url)
        async with outages_translated():
            return await asyncpg.connect(*place, **names, **self._own_args)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._wait_seconds_max):
                await self._places.acquire()
        except TimeoutError:
            raise DatabaseUnavailable(retry_after_seconds=_RETRY_AFTER_SECONDS) from None
        try:
            yield
        finally:
            self._places.release()

    async def ping(self) -> None:
        """Ask the database for a sign of life.

        Raises:
            DatabaseUnavailable: it gave none.
        """
        async with self.snapshot() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Give every connection back."""
        await self.engine.dispose()


def _connect_seconds_max(settings: DatabaseSettings) -> float:
    return settings.database_pool_timeout_seconds * _CONNECT_SHARE


def _lent_args(settings: DatabaseSettings) -> dict[str, Any]:
    return {"timeout": _connect_seconds_max(settings), **_LENT_ARGS}


def _own_args(settings: DatabaseSettings) -> dict[str, Any]:
    statement_timeout_ms = int(settings.database_statement_timeout_seconds * 1000)
    return {
        "timeout": _connect_seconds_max(settings),
        "server_settings": {
            "application_name": "strongroom",
            "statement_timeout": str(statement_timeout_ms),
            "idle_in_transaction_session_timeout": str(statement_timeout_ms),
            "timezone": "UTC",
        },
    }


@asynccontextmanager
async def outages_translated() -> AsyncIterator[None]:
    """Turn an outage, told by SQLAlchemy or by the driver, into the house's one refusal.

    And a text that cannot be stored, wherever it came in, into another.
    """
    try:
        yield
    # The last is what asyncpg says when it is asked again before it has noticed the end.
    except (exc.TimeoutError, OSError, asyncpg.InternalClientError):
        raise DatabaseUnavailable(retry_after_seconds=_RETRY_AFTER_SECONDS) from None
    except (exc.DBAPIError, asyncpg.PostgresError) as error:
        if _state_of(error) == _NO_CHARACTER:
            raise BadRequest("A text holds a character that cannot be stored.") from None
        if not _is_outage(error):
            raise
        raise DatabaseUnavailable(retry_after_seconds=_RETRY_AFTER_SECONDS) from None


def _is_outage(error: exc.DBAPIError | asyncpg.PostgresError) -> bool:
    if _state_of(error)[:2] in _OUTAGE_CLASSES:
        return True
    return isinstance(error, exc.DBAPIError) and (
        error.connection_invalidated or isinstance(error, exc.InterfaceError)
    )


def _state_of(error: exc.DBAPIError | asyncpg.PostgresError) -> str:
    told = error.orig if isinstance(error, exc.DBAPIError) else error
    return getattr(told, "sqlstate", None) or ""


def constraint_of(error: exc.IntegrityError) -> str | None:
    """Return the name of the constraint a statement broke, so that a repository can say which."""
    cause = getattr(error.orig, "__cause__", None)
    return getattr(cause, "constraint_name", None)


def async_url(url: str) -> str:
    """Return the URL with the asyncpg driver, whichever usual spelling it came in.

    Raises:
        ConfigurationError: it is not a PostgreSQL URL.
    """
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        raise ConfigurationError(_BAD_URL) from None
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise ConfigurationError(_BAD_URL)
    return parsed.set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


_BAD_URL: Final = (
    "DATABASE_URL or DATABASE_DIRECT_URL is not a PostgreSQL address. Expected form: "
    "postgresql://USER:PASSWORD@HOST:5432/DATABASE"
)
