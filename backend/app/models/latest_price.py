"""The last known price of each symbol, which nobody ever makes up."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base
from backend.app.models.columns import AMOUNT
from backend.app.models.market_reference import EXCHANGE_LENGTH_MAX, SYMBOL_LENGTH_MAX


class LatestPrice(Base):
    """One price as a source told it: of when it is, and when we heard it.

    `stale_since` is set while the sources are away, or say what is not believed; the price stays.
    A price far from the last one waits as `candidate_price` until it was told `candidate_count`
    times often enough.
    """

    __tablename__ = "latest_prices"

    symbol: Mapped[str] = mapped_column(String(SYMBOL_LENGTH_MAX), primary_key=True)
    price: Mapped[Decimal] = mapped_column(AMOUNT)
    source: Mapped[str] = mapped_column(String(EXCHANGE_LENGTH_MAX))
    as_of: Mapped[datetime]
    received_at: Mapped[datetime]
    stale_since: Mapped[datetime | None]
    stale_because: Mapped[str | None] = mapped_column(String(30))
    candidate_price: Mapped[Decimal | None] = mapped_column(AMOUNT)
    candidate_count: Mapped[int] = mapped_column(SmallInteger, default=0)
