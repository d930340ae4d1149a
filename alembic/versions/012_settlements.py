"""Withdrawals wait for their next try, and the settlement keeps what it was told.

The withdrawals are the queue of whoever pays out: `next_try_at` says when, and without a value
an open one waits for a person. A column of their own rows costs a booking nothing, where a job
library's tables would hold the pool's lock six times as long (decision 0025).

Locks: `withdrawals` exclusively, for its new columns and its index; no row is rewritten.
Reversal: loses what the bank was told, so `downgrade` refuses while there is anything.
"""

import sqlalchemy as sa
from alembic import op

revision = "012"
down_revision = "011"

_AMOUNT = sa.Numeric(38, 18)
_TIME = sa.DateTime(timezone=True)
_OPEN = "state IN ('requested', 'settling', 'unknown')"


def upgrade() -> None:
    op.add_column(
        "withdrawals", sa.Column("tries", sa.SmallInteger(), server_default="0", nullable=False)
    )
    op.add_column("withdrawals", sa.Column("next_try_at", _TIME, nullable=True))
    op.execute(f"UPDATE withdrawals SET next_try_at = requested_at WHERE {_OPEN}")
    op.drop_index("ix_withdrawals_open", "withdrawals")
    op.create_index(
        "ix_withdrawals_due",
        "withdrawals",
        ["next_try_at", "id"],
        postgresql_where=sa.text(_OPEN),
    )
    op.create_table(
        "settlements",
        sa.Column("withdrawal_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("merchant_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("amount", _AMOUNT, nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=30), nullable=True),
        sa.Column("decided_at", _TIME, nullable=False),
        sa.CheckConstraint("state IN ('settled', 'refused')", name="ck_settlements_state"),
        sa.CheckConstraint(
            "(state = 'refused') = (reason IS NOT NULL)", name="ck_settlements_reason"
        ),
        sa.CheckConstraint("amount > 0 AND amount <> 'NaN'", name="ck_settlements_amount"),
        sa.PrimaryKeyConstraint("withdrawal_id", name="pk_settlements"),
    )
    # The function of migration 001, which names the table it protects.
    op.execute(
        "CREATE TRIGGER settlements_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON settlements "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()"
    )
    op.execute("ALTER TABLE settlements ENABLE ALWAYS TRIGGER settlements_only_grow")


def downgrade() -> None:
    if op.get_bind().scalar(sa.text("SELECT EXISTS (SELECT FROM settlements)")):
        raise RuntimeError("settlements is not empty; export it before going back")
    op.drop_table("settlements")
    op.drop_index("ix_withdrawals_due", "withdrawals")
    op.create_index(
        "ix_withdrawals_open", "withdrawals", ["state", "id"], postgresql_where=sa.text(_OPEN)
    )
    op.drop_column("withdrawals", "next_try_at")
    op.drop_column("withdrawals", "tries")
