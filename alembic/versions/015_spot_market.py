"""The spot market: eight pairs, all kinds of orders, fills, wallets in the ledger, and snapshots.

Locks: `instruments`, `orders`, `venue_journal` and `ledger_accounts` for a moment each; then every
order that has traded is written once, for what it traded at (about ten seconds a million).
Reversal: loses what the older venue has no room for, so `downgrade` refuses while there is any.
"""

from decimal import Decimal

import sqlalchemy as sa
from alembic import op

revision = "015"
down_revision = "014"

_TIME = sa.DateTime(timezone=True)
_AMOUNT = sa.Numeric(38, 18)
_SPOT_SHARD = 1
_FEE_PPM = 1000
_PRICE_TICKS_MAX = 1_000_000_000
_ORDER_LOTS_MAX = 10_000_000
# base, quote, ticks a unit of the quote asset, lots a unit of the base asset, smallest notional
_PAIRS = (
    ("BTC", "USDT", 100, 100_000, "5"),
    ("ETH", "USDT", 100, 10_000, "5"),
    ("SOL", "USDT", 100, 1_000, "5"),
    ("XRP", "USDT", 10_000, 10, "5"),
    ("ADA", "USDT", 10_000, 10, "5"),
    ("DOGE", "USDT", 100_000, 1, "5"),
    ("LTC", "USDT", 100, 1_000, "5"),
    ("ETH", "BTC", 100_000, 10_000, "0.0001"),
)
# What an order of before traded at is in the trades it had.
_EXECUTED_VALUES = """
UPDATE orders SET executed_value = traded.value,
    status = CASE executed_quantity WHEN quantity THEN 'filled' ELSE 'partially_filled' END
FROM (
    SELECT id, sum(price * quantity) AS value FROM (
        SELECT maker_order_id AS id, price, quantity FROM trades
        UNION ALL SELECT taker_order_id, price, quantity FROM trades
    ) AS sides GROUP BY id
) AS traded
WHERE traded.id = orders.id
"""
_WALLETS = """
CREATE VIEW wallets AS
SELECT venue_account_id AS account_id, asset,
    coalesce(sum(balance) FILTER (WHERE kind = 'available'), 0) AS available,
    coalesce(sum(balance) FILTER (WHERE kind = 'locked'), 0) AS locked
FROM ledger_accounts WHERE venue_account_id IS NOT NULL
GROUP BY venue_account_id, asset
"""
# The backslash keeps SQLAlchemy from reading a parameter.
_NOT_OF_BEFORE = r"""
SELECT EXISTS (SELECT FROM fills) OR EXISTS (SELECT FROM venue_transfers)
    OR EXISTS (SELECT FROM venue_accounts)
    OR EXISTS (SELECT FROM ledger_accounts WHERE venue_account_id IS NOT NULL)
    OR EXISTS (SELECT FROM venue_journal WHERE shard > 0)
    OR EXISTS (SELECT FROM venue_journal WHERE substr(commands, 1, 9) <> '{"form"\:1'::bytea)
"""

_INSTRUMENT_COLUMNS = {
    "base_asset": "varchar(20)",
    "lots_per_unit": "bigint NOT NULL DEFAULT 1",
    "notional_min": "numeric(38, 18) NOT NULL DEFAULT 0",
    "maker_fee_ppm": "integer NOT NULL DEFAULT 0",
    "taker_fee_ppm": "integer NOT NULL DEFAULT 0",
    "is_active": "boolean NOT NULL DEFAULT true",
}
_ORDER_COLUMNS = {
    "order_type": "varchar(10) NOT NULL DEFAULT 'limit'",
    "time_in_force": "varchar(9) NOT NULL DEFAULT 'gtc'",
    "stop_price": "bigint",
    "self_trade": "varchar(12) NOT NULL DEFAULT 'allow'",
    "executed_value": "bigint NOT NULL DEFAULT 0",
    "budget": "numeric(38, 18)",
}


def upgrade() -> None:
    _instruments()
    _orders()
    op.alter_column("venue_journal", "first_order_id", new_column_name="first_number")
    _fills()
    _accounts()
    _snapshots()


def downgrade() -> None:
    if op.get_bind().scalar(sa.text(_NOT_OF_BEFORE)):
        raise RuntimeError("the venue holds what came with 015; export it before going back")
    op.execute("DROP VIEW wallets")
    for table in ("venue_snapshots", "venue_accounts", "venue_transfers", "fills"):
        op.drop_table(table)
    op.execute("DELETE FROM ledger_accounts WHERE kind IN ('bank', 'fees') AND asset <> 'USD'")
    for index in ("uq_ledger_accounts_venue", "uq_ledger_accounts_house"):
        op.drop_index(index, "ledger_accounts")
    op.drop_column("ledger_accounts", "venue_account_id")
    op.execute("ALTER TABLE ledger_accounts RESET (fillfactor)")
    _house_index("owner_id IS NULL")
    op.alter_column("venue_journal", "first_number", new_column_name="first_order_id")
    for name in _ORDER_COLUMNS:
        op.drop_column("orders", name)
    op.execute("UPDATE orders SET status = 'open' WHERE status = 'partially_filled'")
    op.execute("ALTER TABLE orders ALTER COLUMN price SET NOT NULL")
    op.execute("ALTER TABLE orders ALTER COLUMN status TYPE varchar(10)")
    op.execute(f"DELETE FROM instruments WHERE shard = {_SPOT_SHARD}")
    op.execute("ALTER TABLE instruments DROP CONSTRAINT ck_instruments_steps")
    for name in _INSTRUMENT_COLUMNS:
        op.drop_column("instruments", name)


def _add_columns(table: str, columns: dict[str, str]) -> None:
    # Constant defaults: no row is written anew.
    added = ", ".join(f"ADD COLUMN {name} {kind}" for name, kind in columns.items())
    op.execute(f"ALTER TABLE {table} {added}")


def _instruments() -> None:
    _add_columns("instruments", _INSTRUMENT_COLUMNS)
    # One lot at a price of one tick costs whole atoms (10^-12), and so does everything else.
    op.execute(
        "ALTER TABLE instruments ADD CONSTRAINT ck_instruments_steps"
        " CHECK (mod(1000000000000, ticks_per_unit * lots_per_unit) = 0)"
    )
    instruments = sa.table(
        "instruments",
        *map(sa.column, ("shard", "symbol", "name", "quote_asset", "ticks_per_unit")),
        *map(sa.column, ("price_ticks_min", "price_ticks_max", "order_lots_max", "base_asset")),
        *map(sa.column, ("lots_per_unit", "notional_min", "maker_fee_ppm", "taker_fee_ppm")),
    )
    op.bulk_insert(
        instruments,
        [
            {
                "shard": _SPOT_SHARD,
                "symbol": f"{base}/{quote}",
                "name": f"{base}/{quote}",
                "quote_asset": quote,
                "ticks_per_unit": ticks,
                "price_ticks_min": 1,
                "price_ticks_max": _PRICE_TICKS_MAX,
                "order_lots_max": _ORDER_LOTS_MAX,
                "base_asset": base,
                "lots_per_unit": lots,
                "notional_min": Decimal(notional),
                "maker_fee_ppm": _FEE_PPM,
                "taker_fee_ppm": _FEE_PPM,
            }
            for base, quote, ticks, lots, notional in _PAIRS
        ],
    )


def _orders() -> None:
    _add_columns("orders", _ORDER_COLUMNS)
    op.execute("ALTER TABLE orders ALTER COLUMN price DROP NOT NULL")
    op.execute("ALTER TABLE orders ALTER COLUMN status TYPE varchar(16)")
    op.execute(_EXECUTED_VALUES)


def _fills() -> None:
    op.create_table(
        "fills",
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("trade_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("instrument_id", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("is_maker", sa.Boolean(), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("fee", _AMOUNT, nullable=False),
        sa.Column("traded_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("order_id", "trade_id", name="pk_fills"),
    )
    op.create_index("ix_fills_account_id_trade_id", "fills", ["account_id", "trade_id"])


def _accounts() -> None:
    op.add_column("ledger_accounts", sa.Column("venue_account_id", sa.BigInteger(), nullable=True))
    op.drop_index("uq_ledger_accounts_house", "ledger_accounts")
    _house_index("owner_id IS NULL AND venue_account_id IS NULL")
    op.create_index(
        "uq_ledger_accounts_venue",
        "ledger_accounts",
        ["venue_account_id", "kind", "asset"],
        unique=True,
        postgresql_where=sa.text("venue_account_id IS NOT NULL"),
    )
    # Balances are written again and again: room on the page keeps that off the indexes.
    op.execute("ALTER TABLE ledger_accounts SET (fillfactor = 50)")
    op.execute(_WALLETS)
    op.create_table(
        "venue_transfers",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("asset", sa.String(length=20), nullable=False),
        sa.Column("amount", _AMOUNT, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "reference", name="pk_venue_transfers"),
    )
    op.create_index(
        "uq_venue_transfers_account_id_number",
        "venue_transfers",
        ["account_id", "number"],
        unique=True,
    )
    op.create_table(
        "venue_accounts",
        # Above every user's id, and every trader's whom a proxy names.
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True, start=2**41), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_venue_accounts"),
    )
    op.create_index("uq_venue_accounts_name", "venue_accounts", ["name"], unique=True)


def _house_index(where: str) -> None:
    op.create_index(
        "uq_ledger_accounts_house",
        "ledger_accounts",
        ["kind", "name", "asset"],
        unique=True,
        postgresql_where=sa.text(where),
    )


def _snapshots() -> None:
    op.create_table(
        "venue_snapshots",
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("taken_at", _TIME, nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("shard", "sequence", name="pk_venue_snapshots"),
    )
    op.execute("ALTER TABLE venue_snapshots ALTER COLUMN state SET STORAGE EXTERNAL")
