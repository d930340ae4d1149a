"""What people want to be told of prices, and the prices that are still to be held against it."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Sequence,
    String,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base
from backend.app.models.columns import AMOUNT
from backend.app.models.market_reference import SYMBOL_LENGTH_MAX

# One order for alerts and prices: an alert hears only of prices that were counted after it.
PRICE_NEWS_NUMBERS = Sequence("price_news_number_seq", metadata=Base.metadata)


class PriceAlert(Base):
    """One wish of one user.

    Whatever the condition, it fires at prices of `fires_from` or more, or of `fires_to` or less.
    It is armed until it has fired, and hears only prices numbered higher than `heard_until`.
    """

    __tablename__ = "price_alerts"
    __table_args__ = (
        CheckConstraint("condition IN ('above', 'below', 'percent')", name="condition"),
        CheckConstraint("fires_from IS NOT NULL OR fires_to IS NOT NULL", name="fires"),
        CheckConstraint("is_active OR NOT is_armed", name="armed"),
        Index("ix_price_alerts_user_id", "user_id"),
        # What fires at a price, and what it arms again, is a range of one of these.
        Index(
            "ix_price_alerts_symbol_is_armed_fires_from",
            *("symbol", "is_armed", "fires_from"),
            postgresql_where=text("is_active"),
        ),
        Index(
            "ix_price_alerts_symbol_is_armed_fires_to",
            *("symbol", "is_armed", "fires_to"),
            postgresql_where=text("is_active"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    symbol: Mapped[str] = mapped_column(String(SYMBOL_LENGTH_MAX))
    condition: Mapped[str] = mapped_column(String(10))
    threshold: Mapped[Decimal] = mapped_column(AMOUNT)
    reference_price: Mapped[Decimal] = mapped_column(AMOUNT)
    fires_from: Mapped[Decimal | None] = mapped_column(AMOUNT)
    fires_to: Mapped[Decimal | None] = mapped_column(AMOUNT)
    repeats: Mapped[bool]
    pause_minutes: Mapped[int] = mapped_column(Integer)
    note: Mapped[str | None] = mapped_column(String(200))
    is_active: Mapped[bool]
    is_armed: Mapped[bool]
    heard_until: Mapped[int] = mapped_column(BigInteger)
    silent_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    triggered_at: Mapped[datetime | None]
    triggered_price: Mapped[Decimal | None] = mapped_column(AMOUNT)


class PriceNews(Base):
    """A price that alerts were not yet held against, written in the transaction that tells it.

    For one symbol the numbers grow in the order of the commits: whoever draws one holds the row of
    its latest price.
    """

    __tablename__ = "price_news"
    __table_args__ = (Index("ix_price_news_symbol", "symbol"),)

    number: Mapped[int] = mapped_column(
        BigInteger,
        PRICE_NEWS_NUMBERS,
        server_default=PRICE_NEWS_NUMBERS.next_value(),
        primary_key=True,
    )
    symbol: Mapped[str] = mapped_column(String(SYMBOL_LENGTH_MAX))
    price: Mapped[Decimal] = mapped_column(AMOUNT)
    at: Mapped[datetime]
