"""SQL for anchors: added and read, never changed."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_anchor import Anchor
from backend.app.audit_chain import CHAIN
from backend.app.models.audit_event import AuditAnchor


class AuditAnchorRepository:
    """The anchors of the one chain."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, anchor: Anchor) -> None:
        """Keep an anchor, unless another process was faster."""
        await self._session.execute(
            insert(AuditAnchor).values(chain=CHAIN, **anchor._asdict()).on_conflict_do_nothing()
        )

    async def newest(self) -> Anchor | None:
        """Return the anchor of the latest event that has one."""
        found = await self._session.execute(
            select(AuditAnchor.seq, AuditAnchor.hash, AuditAnchor.at, AuditAnchor.signature)
            .where(AuditAnchor.chain == CHAIN)
            .order_by(AuditAnchor.seq.desc())
            .limit(1)
        )
        row = found.one_or_none()
        return None if row is None else Anchor(*row)
