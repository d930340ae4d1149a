"""Proves the chain as it grows, and signs where it was: at every 1,000th event, or every 10 s.

Nothing is signed that was not proved from the last anchor on. So the key never covers for whoever
made the chain anew: it stops signing and says so.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from backend.app.audit_anchor import ANCHOR_EVENTS_MAX, ANCHOR_SECONDS_MAX, Anchor
from backend.app.audit_chain import GENESIS, Head, verify_chain
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.errors import AuditTrailBroken, DatabaseUnavailable
from backend.app.logs import logger
from backend.app.repositories.audit_anchor_repository import AuditAnchorRepository
from backend.app.repositories.audit_repository import AuditRepository, StoredEvent
from backend.app.services.anchor_file import AnchorFile
from backend.app.services.crypto_service import CryptoService

PAGES_PER_TICK_MAX: Final = 100
_LOG: Final = logger(__name__)


class AnchorKeeper:
    """Follows the chain from anchor to anchor."""

    name = "anchor-keeper"
    interval_seconds = 1.0

    def __init__(
        self,
        database: Database,
        crypto: CryptoService,
        file: AnchorFile | None,
        now: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._crypto = crypto
        self._file = file
        self._now = now
        self._monotonic = monotonic
        # How far the chain is proved, and the part of it that is anchored.
        self._proved: Head | None = None
        self._anchored = GENESIS
        self._anchored_at = monotonic()

    async def tick(self) -> None:
        """Prove what is new, and anchor it when it is time.

        Raises:
            AuditTrailBroken: the chain is not as it was written.
        """
        for _ in range(PAGES_PER_TICK_MAX):
            if not await self._follow():
                return

    async def finish(self) -> None:
        """Anchor the end of the chain, so that it stays as this process leaves it."""
        if self._proved is None:
            return
        try:
            await self.tick()
            if self._proved != self._anchored:
                await self._anchor(self._proved)
        except (AuditTrailBroken, DatabaseUnavailable):
            # Told in the log, or made up for at the next start.
            return

    async def close(self) -> None:
        """Hold nothing."""

    async def _follow(self) -> bool:
        """Go on by at most the distance of two anchors; tell whether there is more."""
        if self._proved is None:
            await self._begin()
        proved = self._proved or GENESIS
        room = ANCHOR_EVENTS_MAX - (proved.seq - self._anchored.seq)
        async with self._database.snapshot() as session:
            newest = await AuditAnchorRepository(session).newest()
            links = await AuditRepository(session).page_after(proved.seq, room)
        self._prove(links, newest)
        if self._is_due():
            await self._anchor(self._proved or GENESIS)
        return len(links) == room

    async def _begin(self) -> None:
        """Go on where the latest anchor is, in the table or in the file."""
        async with self._database.snapshot() as session:
            stored = await AuditAnchorRepository(session).newest()
        kept = await self._newest_in_file()
        anchors = [anchor for anchor in (stored, kept) if anchor is not None]
        for anchor in anchors:
            self._refuse_foreign(anchor)
        latest = max(anchors, default=None, key=lambda anchor: anchor.seq)
        if latest is not None:
            async with self._database.snapshot() as session:
                there = await AuditRepository(session).page_after(latest.seq - 1, 1)
            if not there or (there[0].seq, there[0].hash) != (latest.seq, latest.hash):
                raise _broken(latest.seq)
            self._anchored = Head(latest.seq, latest.hash)
        self._proved = self._anchored

    def _prove(self, links: Sequence[StoredEvent], newest: Anchor | None) -> None:
        proved = self._proved or GENESIS
        bad = verify_chain(links, proved)
        if bad is not None:
            raise _broken(bad)
        if newest is not None and newest.seq > self._anchored.seq:
            self._accept(newest, links)
        if links:
            self._proved = Head(links[-1].seq, links[-1].hash)

    def _accept(self, anchor: Anchor, links: Sequence[StoredEvent]) -> None:
        """Take over an anchor that another process has set on what we have just proved."""
        for link in links:
            if link.seq == anchor.seq:
                self._refuse_foreign(anchor)
                if link.hash != anchor.hash:
                    raise _broken(anchor.seq)
                self._anchored = Head(anchor.seq, anchor.hash)
                self._anchored_at = self._monotonic()

    def _is_due(self) -> bool:
        waiting = (self._proved or GENESIS).seq - self._anchored.seq
        elapsed = self._monotonic() - self._anchored_at
        return waiting >= ANCHOR_EVENTS_MAX or (waiting > 0 and elapsed >= ANCHOR_SECONDS_MAX)

    async def _anchor(self, head: Head) -> None:
        anchor = Anchor(*head, self._now(), self._crypto.anchor_key().sign(head))
        async with self._database.transaction() as session:
            await AuditAnchorRepository(session).add(anchor)
        self._anchored, self._anchored_at = head, self._monotonic()
        _LOG.info("audit_anchor", anchor=anchor.line())
        if self._file is not None:
            await self._keep(self._file, anchor)

    async def _keep(self, file: AnchorFile, anchor: Anchor) -> None:
        try:
            await asyncio.to_thread(file.append, anchor)
        except OSError:
            _LOG.warning("anchor_file_failed", seq=anchor.seq)

    async def _newest_in_file(self) -> Anchor | None:
        if self._file is None:
            return None
        try:
            return await asyncio.to_thread(self._file.newest)
        except OSError:
            _LOG.warning("anchor_file_failed")
            return None

    def _refuse_foreign(self, anchor: Anchor) -> None:
        if not self._crypto.anchor_key().verifier.accepts(anchor):
            raise _broken(anchor.seq)


def _broken(seq: int) -> AuditTrailBroken:
    _LOG.error("audit_trail_broken", seq=seq)
    return AuditTrailBroken(f"Event {seq} of the audit trail is not as it was written.")
