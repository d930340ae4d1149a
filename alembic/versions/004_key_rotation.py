"""Which instance holds which root key, and how far a rewrap came.

Locks: none; both tables are new.
Reversal: a rewrap under way starts again from its beginning, and does nothing twice.
"""

import sqlalchemy as sa
from alembic import op

revision = "004"
down_revision = "003"


def upgrade() -> None:
    op.create_table(
        "instance_keys",
        sa.Column("instance", sa.String(length=64), nullable=False),
        sa.Column("kid", sa.String(length=32), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["kid"], ["keks.kid"], name="fk_instance_keys_kid"),
        sa.PrimaryKeyConstraint("instance", "kid", name="pk_instance_keys"),
    )
    op.create_table(
        "key_rewraps",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("from_kid", sa.String(length=32), nullable=False),
        sa.Column("to_kid", sa.String(length=32), nullable=False),
        sa.Column("cursor", sa.Uuid(), nullable=True),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("holder", sa.Uuid(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resumed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resumed_done", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["from_kid"], ["keks.kid"], name="fk_key_rewraps_from_kid"),
        sa.ForeignKeyConstraint(["to_kid"], ["keks.kid"], name="fk_key_rewraps_to_kid"),
        sa.PrimaryKeyConstraint("id", name="pk_key_rewraps"),
    )
    op.create_index(
        "uq_key_rewraps_one_running",
        "key_rewraps",
        ["state"],
        unique=True,
        postgresql_where=sa.text("state = 'running'"),
    )


def downgrade() -> None:
    op.drop_table("key_rewraps")
    op.drop_table("instance_keys")
