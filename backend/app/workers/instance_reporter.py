"""Says again and again which root keys this instance holds, and follows which of them seals."""

from backend.app.database import Database
from backend.app.services.key_instances import KeyInstances


class InstanceReporter:
    """Keeps this instance among the living, for whoever wants to change the root key."""

    name = "instance-reporter"
    interval_seconds = 5.0

    def __init__(self, database: Database, instances: KeyInstances) -> None:
        self._database = database
        self._instances = instances

    async def tick(self) -> None:
        """Report, and seal with the key that is active now."""
        async with self._database.transaction() as session:
            await self._instances.report(session)
            await self._instances.settle(session)

    async def close(self) -> None:
        """Hold nothing."""
