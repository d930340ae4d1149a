"""Tells what the engine of this process has committed, as soon as it has."""

from typing import Final, Protocol

STEPS_A_SECOND_MAX: Final = 10
"""Nothing is told more often on any channel: what comes meanwhile is told together."""


class Source(Protocol):
    """An engine that leads its shard at times."""

    @property
    def is_leading(self) -> bool:
        """Whether commands are taken here."""
        ...

    @property
    def committed(self) -> int:
        """The number of the last batch that was committed."""
        ...


class Feed(Protocol):
    """Tells what was committed, step by step."""

    async def step(self) -> bool:
        """Tell the next; return whether there may be more."""
        ...


class VenueFeeder:
    """Works where the engine leads, which is in one process at a time.

    It asks the engine's memory whether there is anything new, and the database only if so.
    """

    name = "venue-feeder"
    interval_seconds = 1 / STEPS_A_SECOND_MAX

    def __init__(self, engine: Source, feed: Feed) -> None:
        self._engine = engine
        self._feed = feed
        # None: somebody else may have led, and left something untold.
        self._told: int | None = None

    async def tick(self) -> None:
        """Take one step, if there is anything to tell."""
        if not self._engine.is_leading:
            self._told = None
            return
        committed = self._engine.committed
        if committed != self._told and not await self._feed.step():
            self._told = committed

    async def close(self) -> None:
        """Hold nothing."""
