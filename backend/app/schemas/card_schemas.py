"""The card market as it is asked and shown. Prices are strings: a float would change them."""

import re
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from backend.app.schemas.fields import Request

CLIENT_ORDER_ID_LENGTH_MAX: Final = 64
_PRICE_FORM: Final = r"^[0-9]{1,9}(\.[0-9]{1,9})?$"
_PRICE: Final = re.compile(_PRICE_FORM)
_NAME_FORM: Final = rf"^[A-Za-z0-9._:-]{{1,{CLIENT_ORDER_ID_LENGTH_MAX}}}$"


def _price(value: object) -> Decimal:
    # fullmatch: `$` alone would let a line break pass.
    if not isinstance(value, str) or not _PRICE.fullmatch(value) or not value.isascii():
        raise PydanticCustomError("price", 'A price as a string, such as "1.23"')
    return Decimal(value)


Price = Annotated[
    Decimal,
    BeforeValidator(_price),
    WithJsonSchema({"type": "string", "pattern": _PRICE_FORM, "examples": ["1.23"]}),
]
CardNumber = Annotated[int, Field(ge=1, le=2**31 - 1, strict=True)]


class CardSide(StrEnum):
    """Which way an order trades."""

    BUY = "buy"
    SELL = "sell"


class CardOrderStatus(StrEnum):
    """How far an order got."""

    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"


class CardShown(BaseModel):
    """A card, and what its orders must keep to."""

    id: int
    symbol: str
    name: str
    quote_asset: str
    price_tick: str
    price_min: str
    price_max: str


class CardOrderCreate(Request):
    """Buy or sell one card at a price, or a better one."""

    card_id: CardNumber
    side: CardSide
    price: Price
    client_order_id: str | None = Field(
        default=None,
        pattern=_NAME_FORM,
        description="Your own id of this order: sent again, it is not placed again",
    )


class CardOrderShown(BaseModel):
    """An order as its trader sees it."""

    id: int
    card_id: int
    side: CardSide
    price: str
    status: CardOrderStatus
    client_order_id: str | None
    created_at: datetime


class CardTradeShown(BaseModel):
    """A trade as everybody sees it: nobody is told whose orders met."""

    id: int
    card_id: int
    price: str
    taker_side: CardSide
    traded_at: datetime


class CardLevel(BaseModel):
    """A price, and how many cards wait there."""

    price: str
    quantity: int


class CardBook(BaseModel):
    """What waits, the best price first."""

    card_id: int
    bids: list[CardLevel]
    asks: list[CardLevel]
