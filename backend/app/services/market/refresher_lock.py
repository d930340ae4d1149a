"""Which process refreshes: the one that holds a lock in PostgreSQL, on a connection of its own.

The lock goes with the connection: when its holder is killed the next one gets it at once, and when
it hangs, or its network does, as soon as PostgreSQL ends the idle connection. Whoever lost the lock
without noticing is stopped inside its transaction, before it writes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.database import Database, outages_translated

Confirm = Callable[[AsyncSession], Awaitable[None]]
"""Raises `RefresherLockLost` unless this process may still write."""

SILENCE_SECONDS_MAX: Final = 30
"""A holder that says nothing for so long has lost the lock."""
ANSWER_SECONDS_MAX: Final = 2.0
# Strongroom's own: nobody else on this database may use this class.
_CLASS: Final = 0x53524D44
_PREPARE: Final = (
    "SET application_name = 'strongroom refresher'",
    f"SET idle_session_timeout = '{SILENCE_SECONDS_MAX}s'",
    "SET tcp_keepalives_idle = 5",
    "SET tcp_keepalives_interval = 2",
    "SET tcp_keepalives_count = 3",
)
_STILL_HELD: Final = text(
    "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND classid = :class AND objid = :holder AND objsubid = 2 AND pid = :pid)"
)


class Duty(IntEnum):
    """What one process does for all: the number of its lock. Its writers queue at the next one."""

    PRICES = 1
    CANDLES = 3


class RefresherLockLost(Exception):
    """Another process may refresh by now: nothing may be written."""


class RefresherLock:
    """This process's hold of the lock, or its wish for it."""

    def __init__(
        self,
        database: Database,
        duty: Duty = Duty.PRICES,
        answer_seconds_max: float = ANSWER_SECONDS_MAX,
    ) -> None:
        self._answer_seconds_max = answer_seconds_max
        self._database = database
        self._duty = duty.value
        self._connection: Any = None
        self._is_held = False

    async def hold(self) -> bool:
        """Tell whether this process is the one that refreshes, trying to become it.

        Raises:
            DatabaseUnavailable: nobody can be asked. What was held is held no more.
        """
        try:
            async with outages_translated(), asyncio.timeout(self._answer_seconds_max):
                return await self._hold()
        except BaseException:
            self.release()
            raise

    async def confirm(self, session: AsyncSession) -> None:
        """Let this transaction write, and nobody else's beside it until it ends.

        Raises:
            RefresherLockLost: the lock is not ours any more.
        """
        # First in line, then sure: what an earlier holder still writes is committed before.
        await session.execute(
            text("SELECT pg_advisory_xact_lock(:class, :writer)"),
            {"class": _CLASS, "writer": self._duty + 1},
        )
        pid = self._connection.get_server_pid() if self._is_held else 0
        held = await session.scalar(
            _STILL_HELD, {"class": _CLASS, "holder": self._duty, "pid": pid}
        )
        if not held:
            self.release()
            raise RefresherLockLost

    def release(self) -> None:
        """Let another process refresh."""
        connection, self._connection, self._is_held = self._connection, None, False
        if connection is not None:
            # Closing politely could wait for a server that is gone.
            connection.terminate()

    async def _hold(self) -> bool:
        if self._connection is None or self._connection.is_closed():
            self.release()
            self._connection = await self._database.own_connection()
            for statement in _PREPARE:
                await self._connection.execute(statement)
        if self._is_held:
            await self._connection.execute("SELECT 1")
        else:
            self._is_held = await self._connection.fetchval(
                "SELECT pg_try_advisory_lock($1, $2)", _CLASS, self._duty
            )
        return self._is_held
