"""The ledger, merchants, their withdrawals, and idempotency keys.

Locks: `users` for a moment, for the foreign keys of accounts and merchants.
Reversal: loses what happened to money, so `downgrade` refuses while the ledger holds a movement.
"""

import sqlalchemy as sa
from alembic import op

revision = "011"
down_revision = "010"

_AMOUNT = sa.Numeric(38, 18)
_TIME = sa.DateTime(timezone=True)

# One look at all lines of a statement. Balances follow from lines here and nowhere else. The plans
# are made once a session, perhaps while the tables are empty, and must stay good when they are not:
# so rows are found by their keys, always.
_BOOK = """
CREATE FUNCTION book_ledger_lines() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET enable_material = off AS $$
BEGIN
    IF EXISTS (
        SELECT FROM new_lines AS line
        LEFT JOIN ledger_accounts AS account ON account.id = line.account_id
        GROUP BY line.movement_id, account.asset
        HAVING sum(line.amount) <> 0 OR account.asset IS NULL
    ) THEN
        RAISE EXCEPTION 'a movement does not sum to zero' USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (
        SELECT FROM new_lines AS line
        WHERE NOT EXISTS (SELECT FROM ledger_movements AS m WHERE m.id = line.movement_id)
    ) THEN
        RAISE EXCEPTION 'a line without a movement' USING ERRCODE = 'foreign_key_violation';
    END IF;
    UPDATE ledger_accounts AS account SET balance = account.balance + change.amount
    FROM (SELECT account_id, sum(amount) AS amount FROM new_lines GROUP BY account_id) AS change
    WHERE account.id = change.account_id AND change.amount <> 0;
    RETURN NULL;
END
$$
"""
_BOOK_LINES = """
CREATE TRIGGER ledger_lines_are_booked AFTER INSERT ON ledger_lines
REFERENCING NEW TABLE AS new_lines FOR EACH STATEMENT EXECUTE FUNCTION book_ledger_lines()
"""
_GROWING = ("ledger_movements", "ledger_lines")
_HOUSE_ACCOUNTS = """
INSERT INTO ledger_accounts (kind, name, asset, may_go_negative, created_at) VALUES
    ('bank', '', 'USD', true, now()),
    ('suspense', '', 'USD', true, now()),
    ('fees', '', 'USD', false, now()),
    ('pool', 'default', 'USD', false, now())
"""


def upgrade() -> None:
    _ledger()
    op.execute(_BOOK)
    op.execute(_BOOK_LINES)
    op.execute("ALTER TABLE ledger_lines ENABLE ALWAYS TRIGGER ledger_lines_are_booked")
    for table in _GROWING:
        # The function of migration 001, which names the table it protects.
        op.execute(
            f"CREATE TRIGGER {table}_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_only_grow")
    op.execute(_HOUSE_ACCOUNTS)
    _merchants()
    _withdrawals()
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("route", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(length=32), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "route", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def downgrade() -> None:
    if op.get_bind().scalar(sa.text("SELECT EXISTS (SELECT FROM ledger_movements)")):
        raise RuntimeError("the ledger is not empty; export it before going back")
    for table in ("idempotency_keys", "withdrawals", "merchants", "ledger_lines"):
        op.drop_table(table)
    op.execute("DROP FUNCTION book_ledger_lines()")
    for table in ("ledger_movements", "ledger_accounts"):
        op.drop_table(table)


def _ledger() -> None:
    op.create_table(
        "ledger_accounts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.String(length=50), server_default="", nullable=False),
        sa.Column("asset", sa.String(length=20), nullable=False),
        sa.Column("may_go_negative", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("credit_limit", _AMOUNT, nullable=True),
        sa.Column("balance", _AMOUNT, server_default="0", nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.CheckConstraint("may_go_negative OR balance >= 0", name="ck_ledger_accounts_balance"),
        sa.CheckConstraint(
            "credit_limit IS NULL OR balance <= credit_limit",
            name="ck_ledger_accounts_credit_limit",
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_ledger_accounts_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_accounts"),
    )
    op.create_index(
        "uq_ledger_accounts_owned",
        "ledger_accounts",
        ["owner_id", "kind", "name", "asset"],
        unique=True,
    )
    op.create_index(
        "uq_ledger_accounts_house",
        "ledger_accounts",
        ["kind", "name", "asset"],
        unique=True,
        postgresql_where=sa.text("owner_id IS NULL"),
    )
    op.create_table(
        "ledger_movements",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("reference_id", sa.BigInteger(), nullable=True),
        sa.Column("reverses_id", sa.BigInteger(), nullable=True),
        sa.Column("at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["reverses_id"], ["ledger_movements.id"], name="fk_ledger_movements_reverses_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_movements"),
    )
    op.create_index(
        "uq_ledger_movements_reverses_id",
        "ledger_movements",
        ["reverses_id"],
        unique=True,
        postgresql_where=sa.text("reverses_id IS NOT NULL"),
    )
    op.create_table(
        "ledger_lines",
        sa.Column("movement_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("amount", _AMOUNT, nullable=False),
        sa.CheckConstraint("amount <> 0 AND amount <> 'NaN'", name="ck_ledger_lines_amount"),
        sa.PrimaryKeyConstraint("movement_id", "account_id", name="pk_ledger_lines"),
    )
    op.create_index(
        "ix_ledger_lines_account_id_movement_id", "ledger_lines", ["account_id", "movement_id"]
    )


def _merchants() -> None:
    op.create_table(
        "merchants",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=20), server_default="pending", nullable=False),
        sa.Column("requested_credit", _AMOUNT, nullable=False),
        sa.Column("bank_account", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("pool_id", sa.BigInteger(), nullable=True),
        sa.Column("approved_at", _TIME, nullable=True),
        sa.Column("created_at", _TIME, server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", _TIME, server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint(
            "state IN ('pending', 'active', 'suspended')", name="ck_merchants_state"
        ),
        sa.CheckConstraint(
            "(state = 'pending') = (account_id IS NULL)"
            " AND (account_id IS NULL) = (pool_id IS NULL)"
            " AND (account_id IS NULL) = (approved_at IS NULL)",
            name="ck_merchants_approved",
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ledger_accounts.id"], name="fk_merchants_account_id"
        ),
        sa.ForeignKeyConstraint(["pool_id"], ["ledger_accounts.id"], name="fk_merchants_pool_id"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_merchants_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", name="pk_merchants"),
    )
    op.create_index("uq_merchants_account_id", "merchants", ["account_id"], unique=True)


def _withdrawals() -> None:
    op.create_table(
        "withdrawals",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("pool_id", sa.BigInteger(), nullable=False),
        sa.Column("movement_id", sa.BigInteger(), nullable=False),
        sa.Column("amount", _AMOUNT, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=30), nullable=True),
        sa.Column("requested_at", _TIME, nullable=False),
        sa.Column("changed_at", _TIME, nullable=False),
        sa.CheckConstraint(
            "state IN ('requested', 'settling', 'settled', 'failed', 'unknown')",
            name="ck_withdrawals_state",
        ),
        sa.CheckConstraint("amount > 0 AND amount <> 'NaN'", name="ck_withdrawals_amount"),
        sa.PrimaryKeyConstraint("id", name="pk_withdrawals"),
    )
    op.create_index("ix_withdrawals_user_id_id", "withdrawals", ["user_id", "id"])
    op.create_index(
        "ix_withdrawals_open",
        "withdrawals",
        ["state", "id"],
        postgresql_where=sa.text("state IN ('requested', 'settling', 'unknown')"),
    )
