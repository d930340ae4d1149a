"""Whether this process should be sent requests."""

from backend.app.database import Database
from backend.app.errors import Unavailable


class HealthService:
    """Ready while the database answers and no shutdown has begun."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._draining = False

    def drain(self) -> None:
        """Ask the load balancer for no further requests."""
        self._draining = True

    async def check(self) -> None:
        """Return if requests can be served.

        Raises:
            Unavailable: a shutdown has begun.
            DatabaseUnavailable: the database does not answer.
        """
        if self._draining:
            raise Unavailable("This instance is shutting down.")
        await self._database.ping()
