"""The key passport: what each key may do, every check of it, and what somebody should know.

Locks: `api_credentials` for an instant. The new columns are nullable or have a constant default,
so no row is rewritten.
Reversal: loses passports and history. Keys are asked again at the next check, but what changed
meanwhile is not noticed; a key the house has switched off stays off.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "002"
down_revision = "001"


def upgrade() -> None:
    for column in (
        sa.Column("passport", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("invalid_verdicts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("invalid_counted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deactivated_at", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("api_credentials", column)
    op.create_table(
        "credential_checks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("credential_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("standing", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=30), nullable=True),
        sa.Column("exchange_code", sa.String(length=64), nullable=True),
        sa.Column("passport", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("latency_ms", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["api_credentials.id"],
            name="fk_credential_checks_credential_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_credential_checks"),
    )
    op.create_index(
        "ix_credential_checks_credential_id_id", "credential_checks", ["credential_id", "id"]
    )
    op.create_table(
        "notification_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("credential_id", sa.BigInteger(), nullable=True),
        sa.Column("facts", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_notification_events_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_notification_events"),
    )
    op.create_index("ix_notification_events_user_id_id", "notification_events", ["user_id", "id"])


def downgrade() -> None:
    op.drop_table("notification_events")
    op.drop_table("credential_checks")
    for column in ("deactivated_at", "invalid_counted_at", "invalid_verdicts", "passport"):
        op.drop_column("api_credentials", column)
