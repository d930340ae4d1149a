"""Every check of a credential, as its history keeps it."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, Integer, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base


class CredentialCheck(Base):
    """What one check told. `standing` is "valid", or what the refusal says about the key.

    `user_id` is the owner, repeated so that every query can name him.
    """

    __tablename__ = "credential_checks"
    __table_args__ = (Index("ix_credential_checks_credential_id_id", "credential_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    credential_id: Mapped[int] = mapped_column(ForeignKey("api_credentials.id", ondelete="CASCADE"))
    user_id: Mapped[int] = mapped_column(BigInteger)
    checked_at: Mapped[datetime]
    standing: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str | None] = mapped_column(String(30))
    exchange_code: Mapped[str | None] = mapped_column(String(64))
    passport: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    latency_ms: Mapped[int | None] = mapped_column(Integer)
