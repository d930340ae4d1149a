"""Prices, symbols and assets as they are answered. Numbers are strings, times are UTC."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from backend.app.money import plain
from backend.app.schemas.user_schemas import UserProfile

Amount = Annotated[Decimal, PlainSerializer(plain, return_type=str)]


def _told(amount: Decimal) -> str | None:
    # The tables hold zero for what the exchange does not tell.
    return plain(amount) if amount else None


Told = Annotated[Decimal, PlainSerializer(_told, return_type=str | None)]
_StaleBecause = Literal["source_away", "no_price", "quarantined", "old"]


class Price(BaseModel):
    """The last price that a source told and that was believed."""

    symbol: str
    price: str
    source: str = Field(description="The exchange that told it")
    as_of: datetime = Field(description="The moment it is of, by the exchange")
    age_ms: int = Field(description="How long ago that was when this was answered")
    stale: bool
    stale_because: _StaleBecause | None


class PriceList(BaseModel):
    """The last known prices; `missing` are symbols nobody ever told a price of."""

    prices: list[Price]
    missing: list[str]


class UserWithPrices(BaseModel):
    """The signed-in user and the latest prices; without them if they are away."""

    user: UserProfile
    prices: list[Price]
    missing: list[str]
    prices_available: bool
    because: Literal["price_api_away", "market_data_unavailable"] | None


class SymbolFilter(BaseModel):
    """Which symbols are wanted."""

    exchange: str | None = Field(default=None, max_length=20)
    base_asset: str | None = Field(default=None, max_length=20)
    quote_asset: str | None = Field(default=None, max_length=20)
    is_active: bool | None = None


class MarketSymbol(BaseModel):
    """One market of one exchange. What the exchange does not tell is null."""

    model_config = ConfigDict(from_attributes=True)

    symbol: str
    exchange: str
    base_asset: str
    quote_asset: str
    tick_size: Told
    step_size: Told
    min_notional: Told
    is_active: bool = Field(description="Listed for trading there, and kept here")


class MarketSymbolPage(BaseModel):
    """Some symbols; `next_cursor` asks for more."""

    items: list[MarketSymbol]
    next_cursor: str | None


class MarketAsset(BaseModel):
    """Something that is traded; `base_precision` is the number of decimal places kept of it."""

    model_config = ConfigDict(from_attributes=True)

    code: str
    name: str
    base_precision: int


class MarketAssetPage(BaseModel):
    """Some assets; `next_cursor` asks for more."""

    items: list[MarketAsset]
    next_cursor: str | None


class ExchangeDocument(BaseModel):
    """What an exchange's own document says of a symbol, from `first_seen_at` to `called_at`."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    exchange: str
    symbol: str
    exchange_info: dict[str, Any]
    first_seen_at: datetime
    called_at: datetime
