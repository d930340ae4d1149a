"""The audit trail's tables: the chain of events, its head, and signed anchors of it.

Triggers of migrations 001 and 005 refuse to change or remove an event or an anchor.
"""

from datetime import datetime

from sqlalchemy import BigInteger, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base


class AuditEvent(Base):
    """One link of the chain: canonical JSON, and the hash over it and everything before it."""

    __tablename__ = "audit_events"

    chain: Mapped[str] = mapped_column(String(32), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class AuditChainHead(Base):
    """Where a chain ends. Whoever appends holds this row's lock until the commit."""

    __tablename__ = "audit_chain_heads"

    chain: Mapped[str] = mapped_column(String(32), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class AuditAnchor(Base):
    """What was the hash of one event, signed by a key that is not in the database."""

    __tablename__ = "audit_anchors"

    chain: Mapped[str] = mapped_column(String(32), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    at: Mapped[datetime]
    signature: Mapped[bytes] = mapped_column(LargeBinary(64))
