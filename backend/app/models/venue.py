"""The venue: what can be traded, what was asked, what stands, what was traded, and who may write.

Only the engine that leads a shard writes here, one batch in one statement
(`repositories/venue_ledger.py`). No foreign keys: that writer is their guarantee, and
`strongroom venue replay --verify` proves it.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Identity, Index, Integer, LargeBinary, SmallInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base

CLIENT_ORDER_ID_LENGTH_MAX = 64


class Instrument(Base):
    """Something that is traded. A price of one tick is `1 / ticks_per_unit` of the quote asset."""

    __tablename__ = "instruments"
    __table_args__ = (Index("uq_instruments_symbol", "symbol", unique=True),)

    id: Mapped[int] = mapped_column(Integer, Identity(always=False), primary_key=True)
    shard: Mapped[int] = mapped_column(SmallInteger)
    symbol: Mapped[str] = mapped_column(String(41))
    name: Mapped[str] = mapped_column(String(100))
    quote_asset: Mapped[str] = mapped_column(String(20))
    ticks_per_unit: Mapped[int] = mapped_column(BigInteger)
    price_ticks_min: Mapped[int] = mapped_column(BigInteger)
    price_ticks_max: Mapped[int] = mapped_column(BigInteger)
    order_lots_max: Mapped[int] = mapped_column(BigInteger)


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
    first_order_id: Mapped[int] = mapped_column(BigInteger)
    commands: Mapped[bytes] = mapped_column(LargeBinary)


class Order(Base):
    """An order and how far it got. Prices are ticks, quantities lots."""

    __tablename__ = "orders"
    __table_args__ = (
        Index("ix_orders_account_id_id", "account_id", "id"),
        Index(
            "uq_orders_account_id_client_order_id",
            *("account_id", "client_order_id"),
            unique=True,
            postgresql_where=text("client_order_id IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(BigInteger)
    instrument_id: Mapped[int] = mapped_column(Integer)
    side: Mapped[str] = mapped_column(String(4))
    price: Mapped[int] = mapped_column(BigInteger)
    quantity: Mapped[int] = mapped_column(BigInteger)
    executed_quantity: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(String(10))
    client_order_id: Mapped[str | None] = mapped_column(String(CLIENT_ORDER_ID_LENGTH_MAX))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


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
