"""The spot markets as everybody sees them. Numbers are strings: a float would change them."""

from datetime import datetime

from pydantic import BaseModel, Field

from backend.app.schemas.order_schemas import OrderSide


class MarketShown(BaseModel):
    """A market, and what its orders must keep to."""

    symbol: str
    base_asset: str
    quote_asset: str
    is_active: bool = Field(description="Whether orders are taken; what is open can be cancelled")
    tick_size: str = Field(description="Prices are multiples of it")
    price_min: str
    price_max: str
    step_size: str = Field(description="Quantities are multiples of it, and at least one")
    quantity_max: str
    min_notional: str = Field(description="Price times quantity is at least this")
    maker_fee_rate: str = Field(description="Of what the resting side receives")
    taker_fee_rate: str = Field(description="Of what the arriving side receives")


class BookLevel(BaseModel):
    """A price, and how much waits there."""

    price: str
    quantity: str


class BookShown(BaseModel):
    """What waits, the best price first; stop orders wait unseen."""

    symbol: str
    bids: list[BookLevel]
    asks: list[BookLevel]


class TradeShown(BaseModel):
    """A trade as everybody sees it: nobody is told whose orders met."""

    id: int
    price: str
    quantity: str
    quote_quantity: str
    taker_side: OrderSide
    traded_at: datetime


class TradePage(BaseModel):
    """Some trades, the newest first, and where to go on."""

    items: list[TradeShown]
    next_cursor: str | None = Field(description="Pass it as `cursor`; null at the end")
