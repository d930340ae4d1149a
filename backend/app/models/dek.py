"""Data-encryption keys: one per credential, wrapped."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base


class Dek(Base):
    """A wrapped data-encryption key. It outlives what it opened, shredded: without `wrapped`.

    Neither column is a foreign key to what the key opens: deleting a user or a credential must not
    take with it the line that says when its key was destroyed.
    """

    __tablename__ = "deks"
    __table_args__ = (
        Index("ix_deks_owner_id", "owner_id"),
        # The order in which a rotation walks the keys of one kid.
        Index("ix_deks_kid_dek_id", "kid", "dek_id"),
    )

    dek_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    owner_id: Mapped[int] = mapped_column(BigInteger)
    credential_id: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    kid: Mapped[str] = mapped_column(String(32), ForeignKey("keks.kid"))
    wrapped: Mapped[str | None] = mapped_column(Text)
    kcv: Mapped[bytes] = mapped_column(LargeBinary(8))
    created_at: Mapped[datetime]
    shredded_at: Mapped[datetime | None]
