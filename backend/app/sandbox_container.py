"""What a sandbox in a process of its own is built from, where its exchanges trade on the venue."""

from backend.app.clock import Clock, utc_now
from backend.app.config import Settings
from backend.app.database import Database
from backend.app.venue_container import VenueContainer
from backend.app.workers.runner import WorkerRunner


class SandboxContainer:
    """The way to the venue that other processes lead. It holds no key of the vault.

    Raises:
        ConfigurationError: REDIS_URL or JWT_SECRET is missing, so that it could reach nobody.
    """

    def __init__(self, settings: Settings, database_url: str, clock: Clock = utc_now) -> None:
        self.database = Database(database_url, settings.database)
        self.venue = VenueContainer(
            settings, database=self.database, clock=clock, has_engines=False
        )
        self._workers = WorkerRunner(self.venue.workers())

    async def start(self) -> None:
        """Begin to hear what other processes answer."""
        self.venue.start()
        self._workers.start()

    async def stop(self) -> None:
        """Let go of everything."""
        await self.venue.finish()
        await self._workers.stop()
        await self.venue.stop()
        await self.database.close()
