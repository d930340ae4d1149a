"""What can be priced and traded: assets, symbols, and what an exchange says of each symbol."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Boolean, ForeignKey, Identity, Index, SmallInteger, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.app.models.base import Base, Timestamped
from backend.app.models.columns import AMOUNT

SYMBOL_LENGTH_MAX = 41
"""Base and quote of up to 20 characters, and the stroke between them."""
ASSET_LENGTH_MAX = 20
EXCHANGE_LENGTH_MAX = 20


class Asset(Timestamped, Base):
    """Something that can be held. `base_precision` is the number of decimal places kept of it."""

    __tablename__ = "assets"

    code: Mapped[str] = mapped_column(String(ASSET_LENGTH_MAX), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    base_precision: Mapped[int] = mapped_column(SmallInteger)


class Symbol(Timestamped, Base):
    """One market of one exchange: `BTC/USDT`, and the steps its prices and amounts move in.

    `compact` is the symbol without its stroke, as most people type it.
    """

    __tablename__ = "symbols"
    __table_args__ = (Index("ix_symbols_compact", "compact"),)

    exchange: Mapped[str] = mapped_column(String(EXCHANGE_LENGTH_MAX), primary_key=True)
    symbol: Mapped[str] = mapped_column(String(SYMBOL_LENGTH_MAX), primary_key=True)
    compact: Mapped[str] = mapped_column(String(SYMBOL_LENGTH_MAX))
    base_asset: Mapped[str] = mapped_column(ForeignKey("assets.code"))
    quote_asset: Mapped[str] = mapped_column(ForeignKey("assets.code"))
    tick_size: Mapped[Decimal] = mapped_column(AMOUNT)
    step_size: Mapped[Decimal] = mapped_column(AMOUNT)
    min_notional: Mapped[Decimal] = mapped_column(AMOUNT)
    is_active: Mapped[bool] = mapped_column(Boolean)


class ExchangeInfo(Base):
    """What an exchange's own document said of a symbol, from `first_seen_at` until `called_at`.

    A new row is written only when the document changed.
    """

    __tablename__ = "exchange_info"
    __table_args__ = (Index("ix_exchange_info_exchange_symbol_id", "exchange", "symbol", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    exchange: Mapped[str] = mapped_column(String(EXCHANGE_LENGTH_MAX))
    symbol: Mapped[str] = mapped_column(String(SYMBOL_LENGTH_MAX))
    exchange_info: Mapped[dict[str, Any]] = mapped_column(JSONB)
    first_seen_at: Mapped[datetime]
    called_at: Mapped[datetime]
