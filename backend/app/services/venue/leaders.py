"""Who leads which shard, as the leaders themselves say every moment, in Redis.

It says whom to ask and no more: whether a leader may write, PostgreSQL says with every batch.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

from backend.app.services.venue.seal import LetterForged, Seal
from backend.app.services.venue.streams import Letter, StreamsAway, VenueStreams

TOLD_EVERY_SECONDS: Final = 0.25


class VenueLeaders:
    """The leaders known to this process, which says of itself what it leads."""

    def __init__(
        self, streams: VenueStreams, seal: Seal, own_name: str, shards: Sequence[int]
    ) -> None:
        self._streams = streams
        self._seal = seal
        self._own_name = own_name
        self._shards = shards
        self._names: dict[int, str] = {}
        self._known = {shard: asyncio.Event() for shard in shards}

    async def renew(self, led_here: Collection[int]) -> None:
        """Say what is led here, and learn what is led elsewhere."""
        own = self._own_name.encode()
        told = {shard: self._seal.close(_place(shard), own) for shard in led_here}
        try:
            found = await self._streams.tell_leaders(told, self._shards)
        except StreamsAway:
            # The mailbox, which asks the same Redis, has said so.
            found = [(b"", None) for _ in self._shards]
        for shard, letter in zip(self._shards, found, strict=True):
            self._learn(shard, letter)

    def of(self, shard: int) -> str | None:
        """Return the name of the mailbox of who leads."""
        return self._names.get(shard)

    async def known(self, shard: int) -> str:
        """Wait until somebody leads, and return the name."""
        while (name := self.of(shard)) is None:
            await self._known[shard].wait()
        return name

    def _learn(self, shard: int, letter: Letter) -> None:
        try:
            self._names[shard] = self._seal.open(_place(shard), letter[1] or b"").decode()
            self._known[shard].set()
        except LetterForged:
            self._names.pop(shard, None)
            self._known[shard].clear()


def _place(shard: int) -> str:
    return f"leader:{shard}"
