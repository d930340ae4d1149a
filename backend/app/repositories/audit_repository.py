"""SQL for the audit trail: it is appended to and read, never changed. Nothing here commits."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_chain import CHAIN, Head, extend
from backend.app.audit_record import AuditRecord
from backend.app.models.audit_event import AuditChainHead, AuditEvent

PAGE_ROWS_MAX: Final = 2_000
SEQ_MIN: Final = -(2**63)


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

        The chain's head stays locked until that transaction ends and everybody who records waits
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
        rows = []
        for record in records:
            payload = record.payload()
            head = extend(head, payload)
            rows.append(
                {
                    "chain": CHAIN,
                    "seq": head.seq,
                    "at": record.at,
                    "payload": payload,
                    "hash": head.hash,
                }
            )
        await self._session.execute(insert(AuditEvent), rows)
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
