"""Staged rotation: the pair to come and the pair before, beside each credential's own.

Locks: none; the table is new.
Reversal: pending and previous pairs are lost, the pairs in use stay. Their data keys stay behind
and open nothing, so `downgrade` destroys them first.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "006"
down_revision = "005"


def upgrade() -> None:
    op.execute("CREATE SEQUENCE credential_key_versions_id_seq")
    op.create_table(
        "credential_key_versions",
        sa.Column(
            "id",
            sa.BigInteger(),
            server_default=sa.text("nextval('credential_key_versions_id_seq')"),
            nullable=False,
        ),
        sa.Column("credential_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("api_key", sa.String(length=255), nullable=False),
        sa.Column("encrypted_api_secret", sa.Text(), nullable=False),
        sa.Column("encrypted_passphrase", sa.Text(), nullable=True),
        sa.Column("dek_id", sa.Uuid(), nullable=False),
        sa.Column("rev", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("passport", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("replaced_by_rev", sa.BigInteger(), nullable=True),
        sa.Column("rolls_back_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["api_credentials.id"],
            name="fk_credential_key_versions_credential_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["dek_id"], ["deks.dek_id"], name="fk_credential_key_versions_dek_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_credential_key_versions"),
        sa.UniqueConstraint("credential_id", "state", name="uq_credential_key_versions_one_each"),
    )
    op.create_index(
        "ix_credential_key_versions_expires_at", "credential_key_versions", ["expires_at"]
    )


def downgrade() -> None:
    op.execute(
        "UPDATE deks SET wrapped = NULL, shredded_at = now() "
        "WHERE dek_id IN (SELECT dek_id FROM credential_key_versions)"
    )
    op.drop_table("credential_key_versions")
    op.execute("DROP SEQUENCE credential_key_versions_id_seq")
