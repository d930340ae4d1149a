"""Refresh tokens, as hashes. A spent one stays until its session goes, so that reuse shows."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base


class RefreshToken(Base):
    """One link in a session's chain of refresh tokens.

    `spent_by` is a keyed mark of the client that exchanged it: the same client asking again at
    once lost the answer, anybody else copied the token.
    """

    __tablename__ = "refresh_tokens"
    __table_args__ = (Index("ix_refresh_tokens_session_id", "session_id"),)

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("auth_sessions.id", ondelete="CASCADE"))
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    spent_at: Mapped[datetime | None]
    spent_by: Mapped[bytes | None] = mapped_column(LargeBinary)
