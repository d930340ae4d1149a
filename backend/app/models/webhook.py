"""Where people want to be told, what signs it, and what is still to be told."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Sequence,
    SmallInteger,
    String,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base

# Drawn before the row is written: the secret is sealed under it.
WEBHOOK_SECRET_IDS = Sequence("webhook_secrets_id_seq", metadata=Base.metadata)


class Webhook(Base):
    """An address of one user. No `kinds` means: of every kind.

    `failing_since` is when the first of the deliveries failed after which none arrived.
    """

    __tablename__ = "webhooks"
    __table_args__ = (
        CheckConstraint("is_active = (disabled_because IS NULL)", name="disabled"),
        Index("ix_webhooks_user_id", "user_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))
    url: Mapped[str] = mapped_column(Text)
    kinds: Mapped[list[str]] = mapped_column(ARRAY(String(40)))
    is_active: Mapped[bool]
    disabled_because: Mapped[str | None] = mapped_column(String(20))
    failing_since: Mapped[datetime | None]
    created_at: Mapped[datetime]


class WebhookSecret(Base):
    """One signing secret, sealed; a second one while it is being replaced, until it expires."""

    __tablename__ = "webhook_secrets"
    __table_args__ = (
        Index("ix_webhook_secrets_webhook_id", "webhook_id"),
        Index("ix_webhook_secrets_expires_at", "expires_at"),
    )

    id: Mapped[int] = mapped_column(
        BigInteger,
        WEBHOOK_SECRET_IDS,
        server_default=WEBHOOK_SECRET_IDS.next_value(),
        primary_key=True,
    )
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    user_id: Mapped[int] = mapped_column(BigInteger)
    sealed_secret: Mapped[str] = mapped_column(Text)
    dek_id: Mapped[UUID] = mapped_column(ForeignKey("deks.dek_id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]


class WebhookDelivery(Base):
    """One message for one webhook, written in the transaction of what it tells.

    `message_id` and `body` stay the same however often it is tried. Of an answer only the status
    is kept, of a failure only its kind.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'delivered', 'given_up')", name="state"),
        Index("ix_webhook_deliveries_webhook_id_id", "webhook_id", "id"),
        Index(
            "ix_webhook_deliveries_next_attempt_at",
            "next_attempt_at",
            postgresql_where=text("state = 'waiting'"),
        ),
        Index(
            "ix_webhook_deliveries_waiting",
            "webhook_id",
            postgresql_where=text("state = 'waiting'"),
        ),
        Index("ix_webhook_deliveries_created_at", "created_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    message_id: Mapped[str] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(40))
    body: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(20))
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    next_attempt_at: Mapped[datetime | None]
    last_attempt_at: Mapped[datetime | None]
    last_status: Mapped[int | None] = mapped_column(Integer)
    last_failure: Mapped[str | None] = mapped_column(String(20))
    created_at: Mapped[datetime]
