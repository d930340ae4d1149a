"""Closes WebSockets whose session has ended: signed out, disabled, a changed password."""

from contextlib import suppress

from backend.app.errors import DatabaseUnavailable
from backend.app.services.live_service import LiveService


class LiveWatch:
    """Asks after the sessions of all WebSockets together."""

    name = "live-watch"
    interval_seconds = 2.0

    def __init__(self, sockets: LiveService) -> None:
        self._sockets = sockets

    async def tick(self) -> None:
        """Close what has ended."""
        # While the database is away nothing is told to anybody, so nobody is told too much.
        with suppress(DatabaseUnavailable):
            await self._sockets.close_ended()

    async def close(self) -> None:
        """Hold nothing."""
