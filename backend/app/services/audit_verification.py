"""Proves the whole trail: every row, every anchor, and on request every credential.

Reads one moment of the database, changes nothing, and names the first event that is wrong.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from backend.app.audit_anchor import Anchor
from backend.app.audit_chain import CHAIN, GENESIS, Head, verify_chain
from backend.app.database import Database, outages_translated
from backend.app.services.anchor_key import AnchorVerifier
from backend.app.services.audit_ledger import CredentialLedger, StoredCredential

PAGE_ROWS_MAX: Final = 5_000
_SEQ_MIN: Final = -(2**63)

_PAGE: Final = """
SELECT seq, at, payload, hash FROM audit_events
WHERE chain = $1 AND seq > $2 ORDER BY seq LIMIT $3
"""
_ANCHORS: Final = """
SELECT seq, hash, at, signature FROM audit_anchors
WHERE chain = $1 AND seq > $2 ORDER BY seq LIMIT $3
"""
_CREDENTIALS: Final = """
SELECT c.id, c.user_id, c.rev, c.encrypted_api_secret, d.owner_id, d.credential_id
FROM api_credentials c LEFT JOIN deks d ON d.dek_id = c.dek_id
WHERE c.id > $1 ORDER BY c.id LIMIT $2
"""
_FOREIGN: Final = "SELECT chain FROM audit_events WHERE chain <> $1 LIMIT 1"

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, at which event."""

    seq: int
    what: str

    def __str__(self) -> str:
        return f"event {self.seq}: {self.what}" if self.seq else self.what


@dataclass(frozen=True, slots=True)
class Proof:
    """What was looked at; `finding` is the first thing wrong."""

    events: int
    anchors: int
    credentials: int | None
    finding: Finding | None


class AuditVerification:
    """One walk over the trail."""

    def __init__(
        self,
        database: Database,
        verifier: AnchorVerifier | None,
        kept: Iterable[Anchor] = (),
        *,
        deep: bool = False,
        page_rows: int = PAGE_ROWS_MAX,
        progress: Progress = lambda _done, _of: None,
    ) -> None:
        self._database = database
        self._verifier = verifier
        self._kept = list(kept)
        self._ledger = CredentialLedger() if deep else None
        self._page_rows = page_rows
        self._progress = progress

    async def run(self) -> Proof:
        """Return what was proved.

        Raises:
            DatabaseUnavailable: it went away meanwhile.
        """
        async with outages_translated():
            connection = await self._database.own_connection()
            try:
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    return await self._walk(connection)
            finally:
                connection.terminate()

    async def _walk(self, connection: Any) -> Proof:
        head = await _head_of(connection)
        anchors = _Anchors(connection, self._kept, self._verifier)
        reached, finding = await self._chain(connection, head, anchors)
        if finding is None:
            finding = await self._end(connection, head, reached, anchors)
        credentials = None
        if finding is None and self._ledger is not None:
            credentials, finding = await _credentials(connection, self._ledger)
        return Proof(reached.seq, anchors.seen, credentials, finding)

    async def _chain(
        self, connection: Any, head: Head, anchors: "_Anchors"
    ) -> tuple[Head, Finding | None]:
        reached = GENESIS
        # From below the first number: an event may have been slipped in before it.
        asked = asyncio.ensure_future(connection.fetch(_PAGE, CHAIN, _SEQ_MIN, self._page_rows))
        while page := await asked:
            # The connection does one thing at a time: first the anchors, then, while we hash
            # this page, the next one.
            due = await anchors.up_to(page[-1]["seq"])
            asked = asyncio.ensure_future(
                connection.fetch(_PAGE, CHAIN, page[-1]["seq"], self._page_rows)
            )
            await asyncio.sleep(0)
            finding = _of_chain(page, reached) or anchors.check(due, page)
            if finding is not None:
                await asked
                return reached, finding
            if self._ledger is not None:
                self._ledger.note(page)
            reached = Head(page[-1]["seq"], page[-1]["hash"])
            self._progress(reached.seq, head.seq)
        return reached, None

    async def _end(
        self, connection: Any, head: Head, reached: Head, anchors: "_Anchors"
    ) -> Finding | None:
        if reached != head:
            shown = "another hash" if reached.seq == head.seq else f"event {head.seq}"
            return Finding(min(reached.seq, head.seq) + 1, f"the chain's head says {shown}")
        left = await anchors.up_to(2**63 - 1)
        if left:
            return Finding(reached.seq + 1, f"is gone, but event {left[-1].seq} was anchored")
        if await connection.fetchval(_FOREIGN, CHAIN) is not None:
            return Finding(reached.seq + 1, "there are events of a chain that is not ours")
        return None


class _Anchors:
    """The anchors of the table and of the file, in the order of the events."""

    def __init__(
        self, connection: Any, kept: Sequence[Anchor], verifier: AnchorVerifier | None
    ) -> None:
        self._connection = connection
        self._kept = sorted(kept, reverse=True)
        self._verifier = verifier
        self._reached = _SEQ_MIN
        self.seen = 0

    async def up_to(self, seq: int) -> list[Anchor]:
        due: list[Anchor] = []
        while True:
            rows = await self._connection.fetch(_ANCHORS, CHAIN, self._reached, PAGE_ROWS_MAX)
            due += [Anchor(*row) for row in rows if row["seq"] <= seq]
            if len(rows) < PAGE_ROWS_MAX or rows[-1]["seq"] > seq:
                break
            self._reached = rows[-1]["seq"]
        self._reached = max(self._reached, seq)
        while self._kept and self._kept[-1].seq <= seq:
            due.append(self._kept.pop())
        return sorted(due)

    def check(self, due: Sequence[Anchor], page: Sequence[Any]) -> Finding | None:
        """Compare anchors with the events of a page whose chain is sound."""
        first = page[0]["seq"]
        for anchor in due:
            self.seen += 1
            if self._verifier is None or not self._verifier.accepts(anchor):
                return Finding(anchor.seq, "its anchor is not signed by this installation")
            place = anchor.seq - first
            if not 0 <= place < len(page) or page[place]["hash"] != anchor.hash:
                return Finding(anchor.seq, "is not the event that was anchored")
        return None


def _of_chain(page: Sequence[Any], reached: Head) -> Finding | None:
    bad = verify_chain(page, reached)
    if bad is None:
        return None
    there = {row["seq"] for row in page}
    return Finding(
        bad,
        "payload, time or hash is not as it was written"
        if bad in there
        else f"is missing; after {reached.seq} comes {min(there)}"
        if min(there) > bad
        else "is missing or out of place",
    )


async def _head_of(connection: Any) -> Head:
    row = await connection.fetchrow(
        "SELECT seq, hash FROM audit_chain_heads WHERE chain = $1", CHAIN
    )
    return GENESIS if row is None else Head(*row)


async def _credentials(connection: Any, ledger: CredentialLedger) -> tuple[int, Finding | None]:
    """Hold every stored credential against its last record."""
    reached, count = _SEQ_MIN, 0
    wrong: list[tuple[int, str]] = []
    while rows := await connection.fetch(_CREDENTIALS, reached, PAGE_ROWS_MAX):
        for row in rows:
            wrong += ledger.compare(StoredCredential(*row))
        reached, count = rows[-1]["id"], count + len(rows)
    wrong += ledger.vanished()
    return count, Finding(*min(wrong)) if wrong else None
