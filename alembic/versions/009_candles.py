"""Trades and the candles made of them, partitioned by time.

Where TimescaleDB is installed, or this role may install it, the two tables become hypertables.
Otherwise they are PostgreSQL's own partitions, made by whoever writes: ticks by day; candles apart
by interval, short ones by month, long ones by year, because they are kept for different times.

Locks: none; the tables are new.
Reversal: loses ticks and candles. Exchanges tell theirs again; ours are made anew of the
venue's trades.
"""

from typing import NamedTuple

import sqlalchemy as sa
from alembic import op

revision = "009"
down_revision = "008"

_AMOUNT = sa.Numeric(38, 18)
_TIME = sa.DateTime(timezone=True)

# Partitioned by LIST the table says which intervals there are; a hypertable has to be told.
_INTERVAL_IS_ONE = "interval IN ('1m', '5m', '15m', '1h', '4h', '1d')"


class TimescaleFacts(NamedTuple):
    """What this database says of the extension TimescaleDB."""

    installed: bool
    available: bool
    preloaded: bool
    may_create: bool


def upgrade() -> None:
    hypertables = uses_hypertables(_timescale())
    _create_ticks(partitioned=not hypertables)
    _create_candles(partitioned=not hypertables)
    op.create_table(
        "candle_backfills",
        *_market(),
        sa.Column("start_at", _TIME, nullable=False),
        sa.Column("reached_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint(
            "exchange", "symbol", "interval", "start_at", name="pk_candle_backfills"
        ),
    )
    if hypertables:
        for statement in hypertable_statements():
            op.execute(statement)


def downgrade() -> None:
    for table in ("candle_backfills", "candles", "ticks"):
        op.drop_table(table)


def uses_hypertables(timescale: TimescaleFacts) -> bool:
    """Say whether the tables become hypertables.

    The extension ends the connection of whoever creates it without its library being preloaded,
    so that is tried only where the server lets us see that it is.
    """
    return timescale.installed or (
        timescale.available and timescale.preloaded and timescale.may_create
    )


def hypertable_statements() -> tuple[str, ...]:
    """Return what makes hypertables of the two tables.

    Source: TimescaleDB, API reference, create_hypertable and by_range; of its Apache-2.0 edition.
    """
    ranges = (("ticks", "traded_at", "1 day"), ("candles", "open_time", "30 days"))
    return (
        "CREATE EXTENSION IF NOT EXISTS timescaledb",
        f"ALTER TABLE candles ADD CONSTRAINT ck_candles_interval CHECK ({_INTERVAL_IS_ONE})",
        *(
            f"SELECT create_hypertable('{table}', by_range('{column}', INTERVAL '{span}'),"
            " create_default_indexes => false)"
            for table, column, span in ranges
        ),
    )


def _timescale() -> TimescaleFacts:
    # `setting` is null to a role that may not read it.
    found = op.get_bind().execute(
        sa.text(
            "SELECT"
            " EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb'),"
            " EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb'),"
            " EXISTS (SELECT FROM pg_settings WHERE name = 'shared_preload_libraries'"
            "  AND setting LIKE '%timescaledb%'),"
            " (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
            "  OR has_database_privilege(current_database(), 'CREATE')"
            "  AND EXISTS (SELECT FROM pg_available_extension_versions"
            "   WHERE name = 'timescaledb' AND trusted)"
        )
    )
    return TimescaleFacts(*found.one())


def _create_ticks(*, partitioned: bool) -> None:
    op.create_table(
        "ticks",
        sa.Column("exchange", sa.String(length=20), nullable=False),
        sa.Column("symbol", sa.String(length=41), nullable=False),
        sa.Column("traded_at", _TIME, nullable=False),
        sa.Column("trade_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("price", _AMOUNT, nullable=False),
        sa.Column("quantity", _AMOUNT, nullable=False),
        sa.Column("quote_quantity", _AMOUNT, nullable=False),
        sa.PrimaryKeyConstraint("exchange", "symbol", "traded_at", "trade_id", name="pk_ticks"),
        postgresql_partition_by="RANGE (traded_at)" if partitioned else None,
    )
    op.create_index("ix_ticks_traded_at", "ticks", ["traded_at"], postgresql_using="brin")


def _create_candles(*, partitioned: bool) -> None:
    op.create_table(
        "candles",
        *_market(),
        sa.Column("open_time", _TIME, nullable=False),
        sa.Column("open", _AMOUNT, nullable=False),
        sa.Column("high", _AMOUNT, nullable=False),
        sa.Column("low", _AMOUNT, nullable=False),
        sa.Column("close", _AMOUNT, nullable=False),
        sa.Column("volume", _AMOUNT, nullable=False),
        sa.Column("quote_volume", _AMOUNT, nullable=True),
        sa.Column("trades", sa.Integer(), nullable=True),
        sa.Column("asset_class", sa.String(length=10), server_default="spot", nullable=False),
        sa.PrimaryKeyConstraint("exchange", "symbol", "interval", "open_time", name="pk_candles"),
        sa.CheckConstraint(
            "low > 0 AND low <= open AND low <= close AND high >= open AND high >= close"
            " AND volume >= 0",
            name="ck_candles_range",
        ),
        postgresql_partition_by="LIST (interval)" if partitioned else None,
    )
    op.create_index("ix_candles_open_time", "candles", ["open_time"], postgresql_using="brin")
    if partitioned:
        for part, intervals in (("fine", "'1m', '5m', '15m'"), ("coarse", "'1h', '4h', '1d'")):
            op.execute(
                f"CREATE TABLE candles_{part} PARTITION OF candles FOR VALUES IN ({intervals})"
                " PARTITION BY RANGE (open_time)"
            )


def _market() -> tuple[sa.Column[str], ...]:
    return (
        sa.Column("exchange", sa.String(length=20), nullable=False),
        sa.Column("symbol", sa.String(length=41), nullable=False),
        sa.Column("interval", sa.String(length=3), nullable=False),
    )
