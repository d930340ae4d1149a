"""The composition root: everything is built here, once, and handed what it uses."""

from backend.app.clock import Clock, utc_now
from backend.app.config import Settings
from backend.app.database import Database
from backend.app.services.health_service import HealthService


class Container:
    """The services of one process. Build it, `start` it, `stop` it."""

    def __init__(self, settings: Settings, database_url: str, clock: Clock = utc_now) -> None:
        self.settings = settings
        self.clock = clock
        self.database = Database(database_url, settings.database)
        self.health = HealthService(self.database)

    async def start(self) -> None:
        """Start what runs beside the requests."""

    async def stop(self) -> None:
        """Finish what is under way, then let go of everything, newest first."""
        self.health.drain()
        await self.database.close()
