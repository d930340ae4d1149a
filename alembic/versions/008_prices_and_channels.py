"""Prices and what they stand on, numbered messages by channel, and tickets for WebSockets.

Locks: none that matter; the tables are new.
Reversal: loses prices, messages and tickets, which all come again.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "008"
down_revision = "007"

_AMOUNT = sa.Numeric(38, 18)
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _reference()
    _prices()
    _channels()
    op.create_table(
        "websocket_tickets",
        sa.Column("ticket_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("ticket_hash", name="pk_websocket_tickets"),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["auth_sessions.id"],
            name="fk_websocket_tickets_session_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_websocket_tickets_session_id", "websocket_tickets", ["session_id"])
    op.create_index("ix_websocket_tickets_expires_at", "websocket_tickets", ["expires_at"])


def downgrade() -> None:
    for table in (
        "websocket_tickets",
        "channel_messages",
        "channel_heads",
        "latest_prices",
        "exchange_info",
        "symbols",
        "assets",
    ):
        op.drop_table(table)


def _reference() -> None:
    op.create_table(
        "assets",
        sa.Column("code", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("base_precision", sa.SmallInteger(), nullable=False),
        *_stamps(),
        sa.PrimaryKeyConstraint("code", name="pk_assets"),
    )
    op.create_table(
        "symbols",
        sa.Column("exchange", sa.String(length=20), nullable=False),
        sa.Column("symbol", sa.String(length=41), nullable=False),
        sa.Column("compact", sa.String(length=41), nullable=False),
        sa.Column("base_asset", sa.String(length=20), nullable=False),
        sa.Column("quote_asset", sa.String(length=20), nullable=False),
        sa.Column("tick_size", _AMOUNT, nullable=False),
        sa.Column("step_size", _AMOUNT, nullable=False),
        sa.Column("min_notional", _AMOUNT, nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        *_stamps(),
        sa.PrimaryKeyConstraint("exchange", "symbol", name="pk_symbols"),
        sa.ForeignKeyConstraint(["base_asset"], ["assets.code"], name="fk_symbols_base_asset"),
        sa.ForeignKeyConstraint(["quote_asset"], ["assets.code"], name="fk_symbols_quote_asset"),
    )
    op.create_index("ix_symbols_compact", "symbols", ["compact"])
    op.create_table(
        "exchange_info",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("exchange", sa.String(length=20), nullable=False),
        sa.Column("symbol", sa.String(length=41), nullable=False),
        sa.Column("exchange_info", postgresql.JSONB(), nullable=False),
        sa.Column("first_seen_at", _TIME, nullable=False),
        sa.Column("called_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_exchange_info"),
    )
    op.create_index(
        "ix_exchange_info_exchange_symbol_id", "exchange_info", ["exchange", "symbol", "id"]
    )


def _prices() -> None:
    op.create_table(
        "latest_prices",
        sa.Column("symbol", sa.String(length=41), nullable=False),
        sa.Column("price", _AMOUNT, nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("as_of", _TIME, nullable=False),
        sa.Column("received_at", _TIME, nullable=False),
        sa.Column("stale_since", _TIME, nullable=True),
        sa.Column("stale_because", sa.String(length=30), nullable=True),
        sa.Column("candidate_price", _AMOUNT, nullable=True),
        sa.Column("candidate_count", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("symbol", name="pk_latest_prices"),
    )


def _channels() -> None:
    op.create_table(
        "channel_heads",
        sa.Column("channel", sa.String(length=80), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", name="pk_channel_heads"),
    )
    op.create_table(
        "channel_messages",
        sa.Column("channel", sa.String(length=80), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", _TIME, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "seq", name="pk_channel_messages"),
    )
    op.create_index("ix_channel_messages_created_at", "channel_messages", ["created_at"])


def _stamps() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("created_at", _TIME, server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", _TIME, server_default=sa.func.now(), nullable=False),
    )
