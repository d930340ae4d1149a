"""What is told to whoever listens: numbered messages by channel, kept for a while."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, String, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base

CHANNEL_LENGTH_MAX = 80


class ChannelHead(Base):
    """The number of a channel's last message.

    Its row is locked until the publishing transaction ends: so the numbers of a channel have no
    gaps and become visible in their order.
    """

    __tablename__ = "channel_heads"

    channel: Mapped[str] = mapped_column(String(CHANNEL_LENGTH_MAX), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)


class ChannelMessage(Base):
    """One message, written in the transaction of what it tells."""

    __tablename__ = "channel_messages"
    __table_args__ = (Index("ix_channel_messages_created_at", "created_at"),)

    channel: Mapped[str] = mapped_column(String(CHANNEL_LENGTH_MAX), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
