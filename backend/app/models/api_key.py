"""Platform keys: how programs of ours come in, and the nonces of the requests they signed."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base


class ApiKey(Base):
    """One key of one user. Of its secret only a keyed hash is stored.

    `permissions` are its scopes. An empty `networks` means: from anywhere. A key that signs with
    HMAC has its signing secret sealed under the data key `dek_id`, one with Ed25519 its public key.
    """

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint(
            "cardinality(permissions) > 0"
            " AND permissions <@ ARRAY['read', 'trade', 'withdraw', 'admin']::varchar[]",
            name="permissions",
        ),
        CheckConstraint(
            "CASE signing"
            " WHEN 'plain' THEN sealed_signing_secret IS NULL AND signing_public_key IS NULL"
            " WHEN 'hmac' THEN sealed_signing_secret IS NOT NULL AND dek_id IS NOT NULL"
            " WHEN 'ed25519' THEN signing_public_key IS NOT NULL"
            " ELSE false END",
            name="signing",
        ),
        Index("ix_api_keys_user_id", "user_id"),
    )

    key_id: Mapped[str] = mapped_column(String(8), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))
    key_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    permissions: Mapped[list[str]] = mapped_column(ARRAY(String(20)))
    networks: Mapped[list[str]] = mapped_column(ARRAY(String(43)))
    signing: Mapped[str] = mapped_column(String(20))
    signing_public_key: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    sealed_signing_secret: Mapped[str | None] = mapped_column(Text)
    dek_id: Mapped[UUID | None] = mapped_column(ForeignKey("deks.dek_id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    @property
    def prefix(self) -> str:
        """Return how the key begins: what may be shown and recorded of it."""
        return f"srk_{self.key_id}"


class ApiKeyNonce(Base):
    """A nonce that a signed request has used; no other request with it passes.

    No foreign key: checking one would lock the key's row with every request.
    """

    __tablename__ = "api_key_nonces"
    __table_args__ = (Index("ix_api_key_nonces_used_at", "used_at"),)

    key_id: Mapped[str] = mapped_column(String(8), primary_key=True)
    nonce: Mapped[str] = mapped_column(String(64), primary_key=True)
    used_at: Mapped[datetime]
