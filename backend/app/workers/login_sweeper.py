"""Clears away what logins leave behind: ended sessions and forgotten failures."""

from datetime import timedelta
from typing import Final

from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.repositories.auth_session_repository import AuthSessionRepository
from backend.app.repositories.login_throttle_repository import LoginThrottleRepository
from backend.app.services.login_throttle import FORGOTTEN_AFTER

ROWS_PER_TICK_MAX: Final = 1000
# A copied refresh token that comes back late is still told from an unknown one.
_SESSIONS_KEPT_FOR: Final = timedelta(days=1)


class LoginSweeper:
    """Deletes a bounded number of old rows each time."""

    name = "login-sweeper"
    interval_seconds = 60.0

    def __init__(self, database: Database, now: Clock) -> None:
        self._database = database
        self._now = now

    async def tick(self) -> None:
        """Delete what nobody needs any more."""
        now = self._now()
        async with self._database.transaction() as session:
            await AuthSessionRepository(session).delete_ended(
                now - _SESSIONS_KEPT_FOR, ROWS_PER_TICK_MAX
            )
            await LoginThrottleRepository(session).delete_quiet(
                now - FORGOTTEN_AFTER, ROWS_PER_TICK_MAX
            )

    async def close(self) -> None:
        """Hold nothing."""
