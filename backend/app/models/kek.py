"""The keys that wrap keys: what we know of each, never the key itself."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base


class KekState(StrEnum):
    """The life of a key-encryption key; exactly one is active."""

    PENDING = "pending"
    ACTIVE = "active"
    DECRYPT_ONLY = "decrypt_only"
    RETIRED = "retired"
    DESTROYED = "destroyed"


# What was sealed a moment ago under any of these may still be written.
SEALING_STATES: Final = (KekState.PENDING, KekState.ACTIVE, KekState.DECRYPT_ONLY)


class Kek(Base):
    """A key-encryption key this database has been sealed with.

    `kcv` is its check value: it tells a wrong key of the right name from the right one.
    """

    __tablename__ = "keks"
    __table_args__ = (
        Index(
            "uq_keks_one_active", "state", unique=True, postgresql_where=text("state = 'active'")
        ),
    )

    kid: Mapped[str] = mapped_column(String(32), primary_key=True)
    provider: Mapped[str] = mapped_column(String(20))
    provider_ref: Mapped[str | None] = mapped_column(String(255))
    state: Mapped[str] = mapped_column(String(20))
    kcv: Mapped[bytes] = mapped_column(LargeBinary(8))
    created_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]
    destroyed_at: Mapped[datetime | None]
