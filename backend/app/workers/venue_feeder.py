"""Tells what the engine of this process has committed, as soon as it has."""

import time
from collections.abc import Callable
from typing import Final, Protocol

STEPS_A_SECOND_MAX: Final = 10
"""Nothing is told more often on any channel: what comes meanwhile is told together."""
RESTS_FOR_EACH_SECOND: Final = 4
"""After a second of work it leaves the process to others for so many."""


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

    def __init__(
        self, engine: Source, feed: Feed, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._feed = feed
        self._monotonic = monotonic
        self._rests_until = monotonic()
        # None: somebody else may have led, and left something untold.
        self._told: int | None = None

    async def tick(self) -> None:
        """Take one step, if there is anything to tell."""
        if not self._engine.is_leading:
            self._told = None
            return
        committed, began = self._engine.committed, self._monotonic()
        if committed == self._told or began < self._rests_until:
            return
        if not await self._feed.step():
            self._told = committed
        ended = self._monotonic()
        self._rests_until = ended + RESTS_FOR_EACH_SECOND * (ended - began)

    async def close(self) -> None:
        """Hold nothing."""
