"""The audit trail's tables: the chain of events, and its head.

`PROTECTION` belongs in the migration that creates them.
"""

from datetime import datetime
from typing import Final

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


# One statement each, because a prepared statement holds no more. ALWAYS: the trigger also fires
# for sessions that set session_replication_role, which silences ordinary triggers.
# Source: PostgreSQL 18 documentation, ALTER TABLE.
PROTECTION: Final = (
    """
    CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'audit_events only grows' USING ERRCODE = 'insufficient_privilege';
    END
    $$
    """,
    """
    CREATE TRIGGER audit_events_only_grow
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()
    """,
    "ALTER TABLE audit_events ENABLE ALWAYS TRIGGER audit_events_only_grow",
    """
    INSERT INTO audit_chain_heads (chain, seq, hash)
    VALUES ('main', 0, decode(repeat('00', 32), 'hex'))
    """,
)
PROTECTION_REMOVAL: Final = ("DROP FUNCTION IF EXISTS refuse_audit_change() CASCADE",)
