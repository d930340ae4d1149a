"""Makes room for the days that come, and drops the ticks and candles that are kept no longer."""

from typing import Final

from backend.app.logs import logger
from backend.app.services.market.time_storage import TimeStorage

_LOG: Final = logger(__name__)


class PartitionKeeper:
    """Every process may run one: they take turns, and what is done is done."""

    name = "partition-keeper"
    interval_seconds = 600.0

    def __init__(self, storage: TimeStorage) -> None:
        self._storage = storage

    async def tick(self) -> None:
        """Look two days ahead, and to the end of what is kept."""
        await self._storage.make_room_ahead()
        dropped = await self._storage.drop_what_is_too_old()
        if dropped:
            _LOG.info("partitions_dropped", names=dropped)

    async def close(self) -> None:
        """Hold nothing."""
