"""The venue's journal, orders and trades, who may write them, and the four cards.

Locks: none; the tables are new.
Reversal: loses every order and trade, so `downgrade` refuses while there are any.
"""

import sqlalchemy as sa
from alembic import op

revision = "014"
down_revision = "013"

_TIME = sa.DateTime(timezone=True)
_CARDS = ((1, "PIKACHU"), (2, "CHARMANDER"), (3, "BULBASAUR"), (4, "SQUIRTLE"))


def upgrade() -> None:
    _instruments()
    op.create_table(
        "venue_epochs",
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("taken_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("shard", name="pk_venue_epochs"),
    )
    op.create_table(
        "venue_journal",
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("first_order_id", sa.BigInteger(), nullable=False),
        sa.Column("commands", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("shard", "sequence", name="pk_venue_journal"),
    )
    # PostgreSQL's own compression would cost the engine more time than the bytes are worth.
    op.execute("ALTER TABLE venue_journal ALTER COLUMN commands SET STORAGE EXTERNAL")
    op.execute(
        "CREATE FUNCTION venue_journal_is_append_only() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'the journal of the venue is append-only'; END $$"
    )
    for name, when in (("rows", "UPDATE OR DELETE"), ("table", "TRUNCATE")):
        op.execute(
            f"CREATE TRIGGER venue_journal_append_only_{name} BEFORE {when} ON venue_journal"
            " FOR EACH STATEMENT EXECUTE FUNCTION venue_journal_is_append_only()"
        )
    _orders()


def downgrade() -> None:
    if op.get_bind().scalar(sa.text("SELECT EXISTS (SELECT FROM venue_journal)")):
        raise RuntimeError("venue_journal is not empty; export it before going back")
    for table in ("trades", "orders", "venue_journal", "venue_epochs", "instruments"):
        op.drop_table(table)
    op.execute("DROP FUNCTION venue_journal_is_append_only()")


def _instruments() -> None:
    instruments = op.create_table(
        "instruments",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("symbol", sa.String(length=41), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("quote_asset", sa.String(length=20), nullable=False),
        sa.Column("ticks_per_unit", sa.BigInteger(), nullable=False),
        sa.Column("price_ticks_min", sa.BigInteger(), nullable=False),
        sa.Column("price_ticks_max", sa.BigInteger(), nullable=False),
        sa.Column("order_lots_max", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_instruments"),
    )
    op.create_index("uq_instruments_symbol", "instruments", ["symbol"], unique=True)
    op.bulk_insert(
        instruments,
        [
            {
                "id": number,
                "shard": 0,
                "symbol": symbol,
                "name": symbol.capitalize(),
                "quote_asset": "USD",
                "ticks_per_unit": 100,
                "price_ticks_min": 100,
                "price_ticks_max": 1000,
                "order_lots_max": 1,
            }
            for number, symbol in _CARDS
        ],
    )
    # Ids given by hand do not move the sequence that gives the next ones.
    op.execute("ALTER TABLE instruments ALTER COLUMN id RESTART WITH 5")


def _orders() -> None:
    op.create_table(
        "orders",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("instrument_id", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("executed_quantity", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("client_order_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
    )
    op.create_index("ix_orders_account_id_id", "orders", ["account_id", "id"])
    op.create_index(
        "uq_orders_account_id_client_order_id",
        "orders",
        ["account_id", "client_order_id"],
        unique=True,
        postgresql_where=sa.text("client_order_id IS NOT NULL"),
    )
    # Orders are written once and filled once: room on the page keeps the second write off indexes.
    op.execute("ALTER TABLE orders SET (fillfactor = 70)")
    op.create_table(
        "trades",
        sa.Column("instrument_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("maker_order_id", sa.BigInteger(), nullable=False),
        sa.Column("taker_order_id", sa.BigInteger(), nullable=False),
        sa.Column("taker_side", sa.String(length=4), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("traded_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("instrument_id", "id", name="pk_trades"),
    )
