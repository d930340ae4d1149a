"""Hears in this process which sessions and platform keys other processes have ended.

Without it what ended elsewhere passes here for up to `STALE_SECONDS_MAX` more.
"""

from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backend.app.repositories.auth_session_repository import SESSIONS_CHANNEL
from backend.app.services.guards import Guards

_ANSWER_SECONDS_MAX: Final = 2.0


class SessionListener:
    """Keeps one connection that listens, and replaces it when it breaks."""

    name = "session-listener"
    interval_seconds = 2.0

    def __init__(self, engine: AsyncEngine, guards: Guards) -> None:
        self._engine = engine
        self._guards = guards
        self._connection: AsyncConnection | None = None
        self._driver: Any = None

    async def tick(self) -> None:
        """Make sure that somebody listens."""
        if self._driver is None:
            await self._listen()
            return
        try:
            await self._driver.execute("SELECT 1", timeout=_ANSWER_SECONDS_MAX)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop listening."""
        connection, driver = self._connection, self._driver
        self._connection = self._driver = None
        if driver is not None:
            # Closing politely could wait for a server that is gone.
            driver.terminate()
        if connection is not None:
            await connection.invalidate()
            await connection.close()

    async def _listen(self) -> None:
        self._connection = await self._engine.connect()
        pooled = await self._connection.get_raw_connection()
        driver: Any = pooled.driver_connection
        # It is ours for good: the pool may open another in its place.
        pooled.detach()
        await driver.add_listener(SESSIONS_CHANNEL, self._hear)
        self._driver = driver
        # What was said while nobody listened is lost.
        self._guards.forget_everything()

    def _hear(self, _connection: object, _pid: int, _channel: str, message: str) -> None:
        kind, _, name = message.partition(":")
        try:
            if kind == "session":
                self._guards.forget_session(UUID(name))
            elif kind == "key":
                self._guards.forget_key(name)
            elif kind == "user":
                self._guards.forget_user(int(name))
        except ValueError:
            self._guards.forget_everything()
