"""The log of requests, partitioned by day.

Locks: none; the table is new.
Reversal: loses the log.
"""

import sqlalchemy as sa
from alembic import op

revision = "013"
down_revision = "012"


def upgrade() -> None:
    op.execute("CREATE SEQUENCE api_request_log_id_seq")
    op.create_table(
        "api_request_log",
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "id",
            sa.BigInteger(),
            server_default=sa.text("nextval('api_request_log_id_seq')"),
            nullable=False,
        ),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("method", sa.String(length=20), nullable=False),
        sa.Column("route", sa.String(length=200), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("key_prefix", sa.String(length=20), nullable=True),
        sa.Column("address", sa.String(length=45), nullable=True),
        sa.Column("duration_us", sa.Integer(), nullable=False),
        sa.Column("request_bytes", sa.Integer(), nullable=False),
        sa.Column("response_bytes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("at", "id", name="pk_api_request_log"),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index("ix_api_request_log_at", "api_request_log", ["at"], postgresql_using="brin")
    op.create_index("ix_api_request_log_user_id_id", "api_request_log", ["user_id", "id"])
    op.create_index("ix_api_request_log_request_id", "api_request_log", ["request_id"])


def downgrade() -> None:
    op.drop_table("api_request_log")
    op.execute("DROP SEQUENCE api_request_log_id_seq")
