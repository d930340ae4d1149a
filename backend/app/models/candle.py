"""Trades as they were told, the candles made of them, and how far histories were fetched.

`ticks` and `candles` are partitioned by time, so that what is too old goes by dropping a table.
Partitions are made when they are needed, or hypertables keep them where TimescaleDB is installed.
"""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base
from backend.app.models.columns import AMOUNT
from backend.app.models.market_reference import EXCHANGE_LENGTH_MAX, SYMBOL_LENGTH_MAX

INTERVAL_LENGTH_MAX = 3
ASSET_CLASS_LENGTH_MAX = 10


class Tick(Base):
    """One trade. `trade_id` tells trades of one moment apart and puts them in their order."""

    __tablename__ = "ticks"
    __table_args__ = (
        Index("ix_ticks_traded_at", "traded_at", postgresql_using="brin"),
        {"postgresql_partition_by": "RANGE (traded_at)"},
    )

    exchange: Mapped[str] = mapped_column(String(EXCHANGE_LENGTH_MAX), primary_key=True)
    symbol: Mapped[str] = mapped_column(String(SYMBOL_LENGTH_MAX), primary_key=True)
    traded_at: Mapped[datetime] = mapped_column(primary_key=True)
    trade_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    price: Mapped[Decimal] = mapped_column(AMOUNT)
    quantity: Mapped[Decimal] = mapped_column(AMOUNT)
    quote_quantity: Mapped[Decimal] = mapped_column(AMOUNT)


class Candle(Base):
    """What one market did in one interval. What its exchange does not tell is null."""

    __tablename__ = "candles"
    __table_args__ = (
        CheckConstraint(
            "low > 0 AND low <= open AND low <= close AND high >= open AND high >= close"
            " AND volume >= 0",
            name="range",
        ),
        Index("ix_candles_open_time", "open_time", postgresql_using="brin"),
        {"postgresql_partition_by": "LIST (interval)"},
    )

    exchange: Mapped[str] = mapped_column(String(EXCHANGE_LENGTH_MAX), primary_key=True)
    symbol: Mapped[str] = mapped_column(String(SYMBOL_LENGTH_MAX), primary_key=True)
    interval: Mapped[str] = mapped_column(String(INTERVAL_LENGTH_MAX), primary_key=True)
    open_time: Mapped[datetime] = mapped_column(primary_key=True)
    open: Mapped[Decimal] = mapped_column(AMOUNT)
    high: Mapped[Decimal] = mapped_column(AMOUNT)
    low: Mapped[Decimal] = mapped_column(AMOUNT)
    close: Mapped[Decimal] = mapped_column(AMOUNT)
    volume: Mapped[Decimal] = mapped_column(AMOUNT)
    quote_volume: Mapped[Decimal | None] = mapped_column(AMOUNT)
    trades: Mapped[int | None] = mapped_column(Integer)
    asset_class: Mapped[str] = mapped_column(String(ASSET_CLASS_LENGTH_MAX), server_default="spot")


class CandleBackfill(Base):
    """A history being fetched: everything from `start_at` to before `reached_at` is here."""

    __tablename__ = "candle_backfills"

    exchange: Mapped[str] = mapped_column(String(EXCHANGE_LENGTH_MAX), primary_key=True)
    symbol: Mapped[str] = mapped_column(String(SYMBOL_LENGTH_MAX), primary_key=True)
    interval: Mapped[str] = mapped_column(String(INTERVAL_LENGTH_MAX), primary_key=True)
    start_at: Mapped[datetime] = mapped_column(primary_key=True)
    reached_at: Mapped[datetime]
    updated_at: Mapped[datetime]
