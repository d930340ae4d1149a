"""Price alerts, the prices they still have to hear, webhooks, their secrets and deliveries.

Locks: none; the tables are new.
Reversal: loses alerts, webhooks and what was not delivered. The data keys of the webhooks' secrets
stay behind and open nothing, so `downgrade` destroys them first.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "010"
down_revision = "009"

_AMOUNT = sa.Numeric(38, 18)
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _alerts()
    _webhooks()
    _deliveries()


def downgrade() -> None:
    op.execute(
        "UPDATE deks SET wrapped = NULL, shredded_at = now() "
        "WHERE dek_id IN (SELECT dek_id FROM webhook_secrets)"
    )
    for table in (
        *("webhook_deliveries", "webhook_secrets", "webhooks"),
        *("price_news", "price_alerts"),
    ):
        op.drop_table(table)
    op.execute("DROP SEQUENCE webhook_secrets_id_seq")
    op.execute("DROP SEQUENCE price_news_number_seq")


def _alerts() -> None:
    op.create_table(
        "price_alerts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("symbol", sa.String(length=41), nullable=False),
        sa.Column("condition", sa.String(length=10), nullable=False),
        sa.Column("threshold", _AMOUNT, nullable=False),
        sa.Column("reference_price", _AMOUNT, nullable=False),
        sa.Column("fires_from", _AMOUNT, nullable=True),
        sa.Column("fires_to", _AMOUNT, nullable=True),
        sa.Column("repeats", sa.Boolean(), nullable=False),
        sa.Column("pause_minutes", sa.Integer(), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("is_armed", sa.Boolean(), nullable=False),
        sa.Column("heard_until", sa.BigInteger(), nullable=False),
        sa.Column("silent_until", _TIME, nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("triggered_at", _TIME, nullable=True),
        sa.Column("triggered_price", _AMOUNT, nullable=True),
        sa.CheckConstraint(
            "condition IN ('above', 'below', 'percent')", name="ck_price_alerts_condition"
        ),
        sa.CheckConstraint(
            "fires_from IS NOT NULL OR fires_to IS NOT NULL", name="ck_price_alerts_fires"
        ),
        sa.CheckConstraint("is_active OR NOT is_armed", name="ck_price_alerts_armed"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_price_alerts_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_price_alerts"),
    )
    op.create_index("ix_price_alerts_user_id", "price_alerts", ["user_id"])
    for bound in ("fires_from", "fires_to"):
        op.create_index(
            f"ix_price_alerts_symbol_is_armed_{bound}",
            "price_alerts",
            ["symbol", "is_armed", bound],
            postgresql_where=sa.text("is_active"),
        )
    op.execute("CREATE SEQUENCE price_news_number_seq")
    op.create_table(
        "price_news",
        sa.Column(
            "number",
            sa.BigInteger(),
            server_default=sa.text("nextval('price_news_number_seq')"),
            nullable=False,
        ),
        sa.Column("symbol", sa.String(length=41), nullable=False),
        sa.Column("price", _AMOUNT, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_price_news"),
    )
    op.create_index("ix_price_news_symbol", "price_news", ["symbol"])


def _webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kinds", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("disabled_because", sa.String(length=20), nullable=True),
        sa.Column("failing_since", _TIME, nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.CheckConstraint("is_active = (disabled_because IS NULL)", name="ck_webhooks_disabled"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_webhooks_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
    )
    op.create_index("ix_webhooks_user_id", "webhooks", ["user_id"])
    op.execute("CREATE SEQUENCE webhook_secrets_id_seq")
    op.create_table(
        "webhook_secrets",
        sa.Column(
            "id",
            sa.BigInteger(),
            server_default=sa.text("nextval('webhook_secrets_id_seq')"),
            nullable=False,
        ),
        sa.Column("webhook_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("sealed_secret", sa.Text(), nullable=False),
        sa.Column("dek_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.id"],
            name="fk_webhook_secrets_webhook_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["dek_id"], ["deks.dek_id"], name="fk_webhook_secrets_dek_id"),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_secrets"),
    )
    op.create_index("ix_webhook_secrets_webhook_id", "webhook_secrets", ["webhook_id"])
    op.create_index("ix_webhook_secrets_expires_at", "webhook_secrets", ["expires_at"])


def _deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("webhook_id", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("next_attempt_at", _TIME, nullable=True),
        sa.Column("last_attempt_at", _TIME, nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_failure", sa.String(length=20), nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'delivered', 'given_up')", name="ck_webhook_deliveries_state"
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.id"],
            name="fk_webhook_deliveries_webhook_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
    )
    op.create_index(
        "ix_webhook_deliveries_webhook_id_id", "webhook_deliveries", ["webhook_id", "id"]
    )
    waiting = sa.text("state = 'waiting'")
    op.create_index(
        "ix_webhook_deliveries_next_attempt_at",
        "webhook_deliveries",
        ["next_attempt_at"],
        postgresql_where=waiting,
    )
    op.create_index(
        "ix_webhook_deliveries_waiting",
        "webhook_deliveries",
        ["webhook_id"],
        postgresql_where=waiting,
    )
    op.create_index("ix_webhook_deliveries_created_at", "webhook_deliveries", ["created_at"])
