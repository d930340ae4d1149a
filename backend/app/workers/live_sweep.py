"""Finds what other processes published, whether or not anybody told."""

from contextlib import suppress

from backend.app.errors import DatabaseUnavailable
from backend.app.services.live.live_hub import LiveHub


class LiveSweep:
    """Reads, each second, what follows on every channel somebody here listens to."""

    name = "live-sweep"
    interval_seconds = 1.0

    def __init__(self, hub: LiveHub) -> None:
        self._hub = hub

    async def tick(self) -> None:
        """Catch up with the database."""
        # While it is away there is nothing to find, and when it is back a second is long.
        with suppress(DatabaseUnavailable):
            await self._hub.catch_up(everything=True)

    async def close(self) -> None:
        """Hold nothing."""
