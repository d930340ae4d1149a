"""Snapshots of a shard, taken while it works: copied between two batches, written beside them.

Only the copying holds the commands up, and it lets everybody else go on after each step; what is
copied is then turned into bytes and stored while the next batches are decided.
"""

import asyncio
from typing import Final

from backend.app.clock import Clock
from backend.app.errors import DatabaseUnavailable
from backend.app.logs import logger
from backend.app.repositories.venue_ledger import VenueLedger
from backend.app.venue.books import Books
from backend.app.venue.snapshot_form import Snapshot, pieces

SNAPSHOT_COMMANDS_MAX: Final = 100_000
"""After so many one is taken, however busy we are: a restart carries out no more than these."""
SNAPSHOT_COMMANDS_MIN: Final = 5_000
"""After so many one is taken when there is nothing else to do, or at a stop."""
KEEP_SECONDS_MAX: Final = 10.0
_LOG: Final = logger(__name__)


class SnapshotKeeper:
    """Counts what is carried out, and keeps the books when it is much."""

    def __init__(
        self, ledger: VenueLedger, now: Clock, commands_max: int = SNAPSHOT_COMMANDS_MAX
    ) -> None:
        self._ledger = ledger
        self._now = now
        self._commands_max = commands_max
        self._keeping: asyncio.Task[None] | None = None
        # Carried out since the last snapshot.
        self.commands = 0

    @property
    def is_due(self) -> bool:
        """Whether one is to be taken before anything else is carried out."""
        return self.commands >= self._commands_max

    @property
    def is_worth_it(self) -> bool:
        """Whether one is to be taken if nobody waits."""
        return self.commands >= SNAPSHOT_COMMANDS_MIN

    async def take(self, books: Books) -> None:
        """Copy the books and begin to keep them: all that was carried out is committed.

        Nothing may be carried out before this returns.
        """
        # Where storing takes that long, there is no use in more of it.
        await self.finish()
        self.commands = 0
        sequence, steps = self._ledger.sequence, books.snapshot_in_steps()
        while True:
            try:
                next(steps)
            except StopIteration as ended:
                self._keeping = asyncio.create_task(self._keep(ended.value, sequence))
                return
            await asyncio.sleep(0)

    async def finish(self) -> None:
        """Wait until the last one is kept, or given up."""
        if self._keeping is not None:
            keeping, self._keeping = self._keeping, None
            await keeping

    async def abandon(self) -> None:
        """Give up the one that is being kept."""
        if self._keeping is not None:
            keeping, self._keeping = self._keeping, None
            keeping.cancel()
            await asyncio.wait((keeping,))

    async def _keep(self, state: Snapshot, sequence: int) -> None:
        try:
            async with asyncio.timeout(KEEP_SECONDS_MAX):
                kept = bytearray()
                for piece in pieces(state):
                    kept += piece
                    await asyncio.sleep(0)
                await self._ledger.keep(bytes(kept), sequence, self._now())
        except (DatabaseUnavailable, TimeoutError) as trouble:
            # The journal says it all too, only later; the next one may succeed.
            _LOG.warning(
                "venue_snapshot_failed", shard=self._ledger.shard, kind=type(trouble).__name__
            )
