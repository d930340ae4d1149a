"""Keys with which programs come in, and the nonces of the requests they signed.

Locks: none; both tables are new.
Reversal: every program loses its way in, so `downgrade` refuses while a key is stored.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "003"
down_revision = "002"


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(length=8), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("permissions", postgresql.ARRAY(sa.String(length=20)), nullable=False),
        sa.Column("networks", postgresql.ARRAY(sa.String(length=43)), nullable=False),
        sa.Column("signing", sa.String(length=20), nullable=False),
        sa.Column("signing_public_key", sa.LargeBinary(length=32), nullable=True),
        sa.Column("sealed_signing_secret", sa.Text(), nullable=True),
        sa.Column("dek_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "cardinality(permissions) > 0"
            " AND permissions <@ ARRAY['read', 'trade', 'withdraw', 'admin']::varchar[]",
            name="ck_api_keys_permissions",
        ),
        sa.CheckConstraint(
            "CASE signing"
            " WHEN 'plain' THEN sealed_signing_secret IS NULL AND signing_public_key IS NULL"
            " WHEN 'hmac' THEN sealed_signing_secret IS NOT NULL AND dek_id IS NOT NULL"
            " WHEN 'ed25519' THEN signing_public_key IS NOT NULL"
            " ELSE false END",
            name="ck_api_keys_signing",
        ),
        sa.ForeignKeyConstraint(["dek_id"], ["deks.dek_id"], name="fk_api_keys_dek_id"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_api_keys_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key_id", name="pk_api_keys"),
    )
    op.create_index("ix_api_keys_user_id", "api_keys", ["user_id"], unique=False)
    op.create_table(
        "api_key_nonces",
        sa.Column("key_id", sa.String(length=8), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key_id", "nonce", name="pk_api_key_nonces"),
    )
    op.create_index("ix_api_key_nonces_used_at", "api_key_nonces", ["used_at"], unique=False)


def downgrade() -> None:
    if op.get_bind().scalar(sa.text("SELECT EXISTS (SELECT FROM api_keys)")):
        raise RuntimeError("api_keys is not empty; revoke and remove the keys before going back")
    op.drop_table("api_key_nonces")
    op.drop_table("api_keys")
