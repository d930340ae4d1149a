"""The vault's table: one exchange key of one user, its secrets sealed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Sequence,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base, Timestamped

# The id is drawn before the row is written: it is part of what the secrets are sealed under.
CREDENTIAL_IDS = Sequence("api_credentials_id_seq", metadata=Base.metadata)


class ApiCredential(Timestamped, Base):
    """A credential as stored. `encrypted_*` hold sealed text, bound to owner, row and revision.

    `rev` counts the changes of the secrets; `key_fingerprint` is keyed and finds the same key
    bound twice without comparing keys. `passport` is what its exchange last told of the key;
    `invalid_verdicts` counts those in a row, up to the one at which the house switches the key
    off, which `deactivated_at` remembers. `next_check_at` is when the watch tries the key next; it
    draws a time for a key that has none.
    """

    __tablename__ = "api_credentials"
    __table_args__ = (
        UniqueConstraint("user_id", "exchange_name", "api_key", name="uq_user_exchange_key"),
        Index("ix_api_credentials_key_fingerprint", "key_fingerprint"),
        Index(
            "ix_api_credentials_environment_exchange_name_next_check_at",
            "environment",
            "exchange_name",
            "next_check_at",
        ),
    )

    id: Mapped[int] = mapped_column(
        BigInteger, CREDENTIAL_IDS, server_default=CREDENTIAL_IDS.next_value(), primary_key=True
    )
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    exchange_name: Mapped[str] = mapped_column(String(50))
    environment: Mapped[str] = mapped_column(String(20))
    label: Mapped[str | None] = mapped_column(String(100))
    api_key: Mapped[str] = mapped_column(String(255))
    encrypted_api_secret: Mapped[str] = mapped_column(Text)
    encrypted_passphrase: Mapped[str | None] = mapped_column(Text)
    dek_id: Mapped[UUID] = mapped_column(ForeignKey("deks.dek_id"))
    rev: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    key_fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    has_trading_permission: Mapped[bool | None]
    last_verified_at: Mapped[datetime | None]
    passport: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    invalid_verdicts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    invalid_counted_at: Mapped[datetime | None]
    deactivated_at: Mapped[datetime | None]
    next_check_at: Mapped[datetime | None]
