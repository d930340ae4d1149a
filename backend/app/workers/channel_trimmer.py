"""Clears away what nobody can ask for any more: old messages and unused tickets."""

from datetime import timedelta
from typing import Final

from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.repositories.channel_repository import TRIMMED_AT_ONCE_MAX, ChannelRepository
from backend.app.repositories.websocket_ticket_repository import WebsocketTicketRepository

MESSAGES_KEPT_FOR: Final = timedelta(minutes=10)
# A thousand messages a block, twenty blocks a tick: 2,000 messages a second, in each process.
BLOCKS_PER_TICK_MAX: Final = 20
TICKETS_PER_TICK_MAX: Final = 1_000


class ChannelTrimmer:
    """Deletes a bounded number of old rows each time. Any number of processes may."""

    name = "channel-trimmer"
    interval_seconds = 10.0

    def __init__(self, database: Database, now: Clock) -> None:
        self._database = database
        self._now = now

    async def tick(self) -> None:
        """Delete what is too old."""
        now = self._now()
        async with self._database.transaction() as session:
            await WebsocketTicketRepository(session).delete_expired(now, TICKETS_PER_TICK_MAX)
        for _ in range(BLOCKS_PER_TICK_MAX):
            async with self._database.transaction() as session:
                trimmed = await ChannelRepository(session).trim(now - MESSAGES_KEPT_FOR)
            if trimmed < TRIMMED_AT_ONCE_MAX:
                return

    async def close(self) -> None:
        """Hold nothing."""
