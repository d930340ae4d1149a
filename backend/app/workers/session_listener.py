"""Hears in this process which sessions and platform keys other processes have ended.

Without it what ended elsewhere passes here for up to `STALE_SECONDS_MAX` more.
"""

from typing import Any, Final
from uuid import UUID

from backend.app.database import Database
from backend.app.repositories.auth_session_repository import SESSIONS_CHANNEL
from backend.app.services.guards import Guards

ANSWER_SECONDS_MAX: Final = 2.0


class SessionListener:
    """Keeps one connection that listens, and replaces it when it breaks."""

    name = "session-listener"
    interval_seconds = 2.0

    def __init__(
        self, database: Database, guards: Guards, answer_seconds_max: float = ANSWER_SECONDS_MAX
    ) -> None:
        self._answer_seconds_max = answer_seconds_max
        self._database = database
        self._guards = guards
        self._connection: Any = None

    async def tick(self) -> None:
        """Make sure that somebody listens."""
        if self._connection is None:
            await self._listen()
            return
        try:
            await self._connection.execute("SELECT 1", timeout=self._answer_seconds_max)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop listening."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # Closing politely could wait for a server that is gone.
            connection.terminate()

    async def _listen(self) -> None:
        # Its own: a pooler would lend the session that listens to somebody else.
        connection = await self._database.own_connection()
        try:
            await connection.add_listener(SESSIONS_CHANNEL, self._hear)
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection
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
