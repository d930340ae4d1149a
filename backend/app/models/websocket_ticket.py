"""Tickets that open one WebSocket each, so that no token ever stands in an address."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base


class WebsocketTicket(Base):
    """One unused ticket, known by its hash alone. Using it deletes the row."""

    __tablename__ = "websocket_tickets"
    __table_args__ = (
        Index("ix_websocket_tickets_session_id", "session_id"),
        Index("ix_websocket_tickets_expires_at", "expires_at"),
    )

    ticket_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("auth_sessions.id", ondelete="CASCADE"))
    expires_at: Mapped[datetime]
