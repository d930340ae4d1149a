"""SQL for the audit trail: it is appended to and read, never changed. Nothing here commits."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_chain import CHAIN, Head, extended
from backend.app.audit_record import AuditRecord
from backend.app.models.audit_event import AuditChainHead, AuditEvent

PAGE_ROWS_MAX: Final = 2_000
SEQ_MIN: Final = -(2**63)

# Arrays in one statement, because a row each cost most of the time (bench/audit.py).
_WRITE: Final = text(
    "WITH moved AS (UPDATE audit_chain_heads SET seq = :seq, hash = :hash WHERE chain = :chain) "
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

        The chain's head stays locked until that transaction ends, and everybody who records waits
        for it: append last in the block. Locking it after all other rows also keeps two blocks
        from waiting for each other.

        Raises:
            ValueError: a text of a record is not a short word.
        """
        payloads = [record.payload() for record in records]
        # Columns, not the row: a row already in the session would hide what others appended.
        found = await self._session.execute(
            select(AuditChainHead.seq, AuditChainHead.hash)
            .where(AuditChainHead.chain == CHAIN)
            .with_for_update()
        )
        links = extended(Head(*found.one()), payloads)
        await self._session.execute(
            _WRITE,
            {
                "chain": CHAIN,
                "seq": links[-1].seq,
                "hash": links[-1].hash,
                "seqs": [link.seq for link in links],
                "ats": [record.at for record in records],
                "payloads": payloads,
                "hashes": [link.hash for link in links],
            },
        )

    async def head(self) -> Head:
        """Return where the chain ends."""
        found = await self._session.execute(
            select(AuditChainHead.seq, AuditChainHead.hash).where(AuditChainHead.chain == CHAIN)
        )
        return Head(*found.one())

    async def page_after(self, seq: int, limit: int = PAGE_ROWS_MAX) -> list[StoredEvent]:
        """Return the next rows of the chain, oldest first, a bounded number at a time."""
        found = await self._session.execute(
            select(AuditEvent.seq, AuditEvent.at, AuditEvent.payload, AuditEvent.hash)
            .where(AuditEvent.chain == CHAIN, AuditEvent.seq > seq)
            .order_by(AuditEvent.seq)
            .limit(limit)
        )
        return [StoredEvent(*row) for row in found]
