"""The venue: what can be traded, what was asked, what stands, what was traded, and who may write.

Only the engine that leads a shard writes here, one batch in one statement
(`repositories/venue_ledger.py`). No foreign keys: that writer is their guarantee, and
`strongroom venue replay --verify` proves it.
"""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base
from backend.app.models.columns import AMOUNT

CLIENT_ORDER_ID_LENGTH_MAX = 64
TRANSFER_REFERENCE_LENGTH_MAX = 64


class Instrument(Base):
    """Something that is traded. A price of one tick is `1 / ticks_per_unit` of the quote asset.

    One lot is `1 / lots_per_unit` of the base asset. Without a base asset nothing is owned and
    nothing paid. Fees are millionths of what a side receives.
    """

    __tablename__ = "instruments"
    __table_args__ = (
        Index("uq_instruments_symbol", "symbol", unique=True),
        CheckConstraint("mod(1000000000000, ticks_per_unit * lots_per_unit) = 0", name="steps"),
    )

    id: Mapped[int] = mapped_column(Integer, Identity(always=False), primary_key=True)
    shard: Mapped[int] = mapped_column(SmallInteger)
    symbol: Mapped[str] = mapped_column(String(41))
    name: Mapped[str] = mapped_column(String(100))
    quote_asset: Mapped[str] = mapped_column(String(20))
    ticks_per_unit: Mapped[int] = mapped_column(BigInteger)
    price_ticks_min: Mapped[int] = mapped_column(BigInteger)
    price_ticks_max: Mapped[int] = mapped_column(BigInteger)
    order_lots_max: Mapped[int] = mapped_column(BigInteger)
    base_asset: Mapped[str | None] = mapped_column(String(20))
    lots_per_unit: Mapped[int] = mapped_column(BigInteger, server_default="1")
    notional_min: Mapped[Decimal] = mapped_column(AMOUNT, server_default="0")
    maker_fee_ppm: Mapped[int] = mapped_column(server_default="0")
    taker_fee_ppm: Mapped[int] = mapped_column(server_default="0")
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))


class VenueEpoch(Base):
    """Who leads a shard. Whoever takes the lead counts the epoch up, and fences off all before."""

    __tablename__ = "venue_epochs"

    shard: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    epoch: Mapped[int] = mapped_column(BigInteger)
    taken_at: Mapped[datetime]


class VenueJournalEntry(Base):
    """The commands of one batch, in the order in which they were carried out."""

    __tablename__ = "venue_journal"

    shard: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    epoch: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]
    first_number: Mapped[int] = mapped_column(BigInteger)
    commands: Mapped[bytes] = mapped_column(LargeBinary)
    # Orders from before that the batch did something to: what the feed could not know otherwise.
    changed: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))


class VenueFeedPlace(Base):
    """How far a shard's news were told: the last entry of its journal, and its last trade."""

    __tablename__ = "venue_feeds"

    shard: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    sequence: Mapped[int] = mapped_column(BigInteger)
    trade_id: Mapped[int] = mapped_column(BigInteger)


class VenueSnapshot(Base):
    """The books of a shard as they were after an entry of its journal. A way to start sooner.

    Nothing depends on it: damaged or missing, the journal is carried out from its beginning.
    """

    __tablename__ = "venue_snapshots"

    shard: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    taken_at: Mapped[datetime]
    checksum: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[bytes] = mapped_column(LargeBinary)


class VenueAccount(Base):
    """An account of the venue that is no user's: a test exchange's, or a program's of ours."""

    __tablename__ = "venue_accounts"
    __table_args__ = (Index("uq_venue_accounts_name", "name", unique=True),)

    # Above every user's id, and every trader's whom a proxy names.
    id: Mapped[int] = mapped_column(
        BigInteger, Identity(always=True, start=2**41), primary_key=True
    )
    name: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime]


class Order(Base):
    """An order and how far it got. Prices are ticks, quantities lots.

    `executed_value` is the sum of price x quantity of its trades, `budget` an amount of the quote
    asset. Its name is unique within its shard (`id >> 40`): two writers could not know of each
    other's in time.
    """

    __tablename__ = "orders"
    __table_args__ = (
        Index("ix_orders_account_id_id", "account_id", "id"),
        Index(
            "uq_orders_account_id_client_order_id",
            *("account_id", "client_order_id", text("(id >> 40)")),
            unique=True,
            postgresql_where=text("client_order_id IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(BigInteger)
    instrument_id: Mapped[int] = mapped_column(Integer)
    side: Mapped[str] = mapped_column(String(4))
    price: Mapped[int | None] = mapped_column(BigInteger)
    quantity: Mapped[int] = mapped_column(BigInteger)
    executed_quantity: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(String(16))
    client_order_id: Mapped[str | None] = mapped_column(String(CLIENT_ORDER_ID_LENGTH_MAX))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    order_type: Mapped[str] = mapped_column(String(10), server_default="limit")
    time_in_force: Mapped[str] = mapped_column(String(9), server_default="gtc")
    stop_price: Mapped[int | None] = mapped_column(BigInteger)
    self_trade: Mapped[str] = mapped_column(String(12), server_default="allow")
    executed_value: Mapped[int] = mapped_column(BigInteger, server_default="0")
    budget: Mapped[Decimal | None] = mapped_column(AMOUNT)


class Trade(Base):
    """Two orders that met, at the price of the one that rested."""

    __tablename__ = "trades"

    instrument_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    maker_order_id: Mapped[int] = mapped_column(BigInteger)
    taker_order_id: Mapped[int] = mapped_column(BigInteger)
    taker_side: Mapped[str] = mapped_column(String(4))
    price: Mapped[int] = mapped_column(BigInteger)
    quantity: Mapped[int] = mapped_column(BigInteger)
    traded_at: Mapped[datetime]


class Fill(Base):
    """One account's side of a trade, with its fee in what that side received."""

    __tablename__ = "fills"
    __table_args__ = (Index("ix_fills_account_id_trade_id", "account_id", "trade_id"),)

    order_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    trade_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(BigInteger)
    instrument_id: Mapped[int]
    side: Mapped[str] = mapped_column(String(4))
    is_maker: Mapped[bool]
    price: Mapped[int] = mapped_column(BigInteger)
    quantity: Mapped[int] = mapped_column(BigInteger)
    fee: Mapped[Decimal] = mapped_column(AMOUNT)
    traded_at: Mapped[datetime]


class VenueTransfer(Base):
    """Test funds that came into an account, or left it (`amount` < 0), once for each reference."""

    __tablename__ = "venue_transfers"
    __table_args__ = (
        Index("uq_venue_transfers_account_id_number", "account_id", "number", unique=True),
    )

    account_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    reference: Mapped[str] = mapped_column(String(TRANSFER_REFERENCE_LENGTH_MAX), primary_key=True)
    asset: Mapped[str] = mapped_column(String(20))
    amount: Mapped[Decimal] = mapped_column(AMOUNT)
    number: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]
