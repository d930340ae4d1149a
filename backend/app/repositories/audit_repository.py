"""SQL for the audit trail: it is appended to and read, never changed. Nothing here commits."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_chain import CHAIN, Head, extend
from backend.app.audit_record import AuditRecord, WrittenRecord
from backend.app.models.audit_event import AuditChainHead, AuditEvent

PAGE_ROWS_MAX: Final = 2_000
SEQ_MIN: Final = -(2**63)

# Arrays in one statement, because a row each made the writer the bottleneck (bench/vault.py).
_INSERT: Final = text(
    "INSERT INTO audit_events (chain, seq, at, payload, hash) "
    "SELECT :chain, * FROM unnest(CAST(:seqs AS bigint[]), CAST(:ats AS timestamptz[]), "
    "CAST(:payloads AS bytea[]), CAST(:hashes AS bytea[]))"
)


class StoredEvent(NamedTuple):
    """A row of the trail."""

    seq: int
    at: datetime
    payload: bytes
    hash: bytes


class AuditRepository:
    """The one chain of this deployment."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def append(self, records: Sequence[AuditRecord]) -> None:
        """Write records at the end of the chain, in the caller's transaction.

        Raises:
            ValueError: a text of a record is not a short word.
        """
        await self.append_written([record.written() for record in records])

    async def append_written(self, records: Sequence[WrittenRecord]) -> None:
        """Write records at the end of the chain, in the caller's transaction.

        The chain's head stays locked until that transaction ends, and everybody who records waits
        for it: append last in the block. Locking it after all other rows also keeps two blocks
        from waiting for each other.
        """
        # Columns, not the row: a row already in the session would hide what others appended.
        found = await self._session.execute(
            select(AuditChainHead.seq, AuditChainHead.hash)
            .where(AuditChainHead.chain == CHAIN)
            .with_for_update()
        )
        head = Head(*found.one())
        links = []
        for _, payload in records:
            head = extend(head, payload)
            links.append(head)
        await self._session.execute(
            _INSERT,
            {
                "chain": CHAIN,
                "seqs": [link.seq for link in links],
                "ats": [record.at for record in records],
                "payloads": [record.payload for record in records],
                "hashes": [link.hash for link in links],
            },
        )
        await self._session.execute(
            update(AuditChainHead)
            .where(AuditChainHead.chain == CHAIN)
            .values(seq=head.seq, hash=head.hash)
        )

    async def head(self) -> Head:
        """Return where the chain ends."""
        found = await self._session.execute(
            select(AuditChainHead.seq, AuditChainHead.hash).where(AuditChainHead.chain == CHAIN)
        )
        return Head(*found.one())

    async def page_after(self, seq: int) -> list[StoredEvent]:
        """Return the next rows of the chain, oldest first, a bounded number at a time."""
        found = await self._session.execute(
            select(AuditEvent.seq, AuditEvent.at, AuditEvent.payload, AuditEvent.hash)
            .where(AuditEvent.chain == CHAIN, AuditEvent.seq > seq)
            .order_by(AuditEvent.seq)
            .limit(PAGE_ROWS_MAX)
        )
        return [StoredEvent(*row) for row in found]
