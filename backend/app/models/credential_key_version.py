"""Key pairs of a credential that are not in use: the one to come, and the one before."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Sequence,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base

# Drawn before the row is written, like a credential's: the secrets are sealed under it.
KEY_VERSION_IDS = Sequence("credential_key_versions_id_seq", metadata=Base.metadata)


class CredentialKeyVersion(Base):
    """A pair beside the one in use, at most one of each state. The one in use is the credential's.

    A row is written once: whoever moves a pair seals it anew for where it comes to lie, so `rev` is
    always 1. `rolls_back_until` is set on a previous pair while it comes back by itself if the
    revision in `replaced_by_rev` is refused; `tried_at` is when that was last attempted.
    """

    __tablename__ = "credential_key_versions"
    __table_args__ = (
        UniqueConstraint("credential_id", "state", name="uq_credential_key_versions_one_each"),
        Index("ix_credential_key_versions_expires_at", "expires_at"),
    )

    id: Mapped[int] = mapped_column(
        BigInteger, KEY_VERSION_IDS, server_default=KEY_VERSION_IDS.next_value(), primary_key=True
    )
    credential_id: Mapped[int] = mapped_column(ForeignKey("api_credentials.id", ondelete="CASCADE"))
    user_id: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(20))
    api_key: Mapped[str] = mapped_column(String(255))
    encrypted_api_secret: Mapped[str] = mapped_column(Text)
    encrypted_passphrase: Mapped[str | None] = mapped_column(Text)
    dek_id: Mapped[UUID] = mapped_column(ForeignKey("deks.dek_id"))
    rev: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    passport: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    replaced_by_rev: Mapped[int | None] = mapped_column(BigInteger)
    rolls_back_until: Mapped[datetime | None]
    tried_at: Mapped[datetime | None]
