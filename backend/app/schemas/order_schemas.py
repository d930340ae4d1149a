"""Orders of the spot markets as they are asked and shown. Numbers are strings, never floats."""

import re
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from backend.app.schemas.fields import Request

CLIENT_ORDER_ID_LENGTH_MAX: Final = 64
CLIENT_ORDER_ID_FORM: Final = rf"^[A-Za-z0-9._:-]{{1,{CLIENT_ORDER_ID_LENGTH_MAX}}}$"
MARKET_NAME_LENGTH_MAX: Final = 41
BATCH_ORDERS_MAX: Final = 100
PAGE_ORDERS_MAX: Final = 200
_NUMBER: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,18})?")


def _positive(value: object) -> Decimal:
    # A number in JSON has passed through a float before anybody could look at it. fullmatch: `$`
    # alone would let a line break pass.
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise PydanticCustomError(
            "number",
            "A text such as 0.25: at most 20 digits and 18 decimals, no sign and no exponent",
        )
    number = Decimal(value)
    if not number:
        raise PydanticCustomError("number_positive", "More than nothing")
    return number


Number = Annotated[
    Decimal,
    PlainValidator(_positive),
    WithJsonSchema(
        {"type": "string", "pattern": f"^{_NUMBER.pattern}$", "maxLength": 39, "examples": ["0.25"]}
    ),
]
"""A price or an amount above nothing, exactly as it was written."""

MarketName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MARKET_NAME_LENGTH_MAX,
        description="`BTC/USDT`, `BTC-USDT`, `btcusdt`: all name the same market",
        examples=["BTC/USDT"],
    ),
]
ClientOrderId = Annotated[str, Field(pattern=CLIENT_ORDER_ID_FORM)]


class OrderSide(StrEnum):
    """Which way an order trades."""

    BUY = "buy"
    SELL = "sell"


class OrderKind(StrEnum):
    """How an order names its price: itself, not at all, or once another price was reached."""

    LIMIT = "limit"
    MARKET = "market"
    STOP_LIMIT = "stop_limit"


class OrderLasting(StrEnum):
    """How long what is left of an order stays: until cancelled, or not beyond this moment.

    `fok` trades whole and at once or not at all; `post_only` never takes.
    """

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    POST_ONLY = "post_only"


class SelfTradePrevention(StrEnum):
    """What happens when an order meets another of the same account."""

    ALLOW = "allow"
    CANCEL_TAKER = "cancel_taker"
    CANCEL_MAKER = "cancel_maker"
    CANCEL_BOTH = "cancel_both"


class OrderState(StrEnum):
    """How far an order got."""

    WAITING = "waiting"
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"


class OrderCreate(Request):
    """Buy or sell on a market.

    A limit order names `price` and `quantity`; a stop-limit order `stop_price` too; a market order
    `quantity`, or, if it buys, `quote_quantity`: how much to pay at most.
    """

    symbol: MarketName
    side: OrderSide
    type: OrderKind = OrderKind.LIMIT
    quantity: Number | None = None
    quote_quantity: Number | None = None
    price: Number | None = None
    stop_price: Number | None = None
    time_in_force: OrderLasting = OrderLasting.GTC
    self_trade_prevention: SelfTradePrevention = SelfTradePrevention.ALLOW
    client_order_id: ClientOrderId | None = Field(
        default=None,
        description="Your own id of this order: sent again, it is not placed again",
    )


class OrderBatch(Request):
    """Several orders, carried out one after the other; each is placed or refused by itself."""

    orders: list[OrderCreate] = Field(min_length=1, max_length=BATCH_ORDERS_MAX)


class OrderShown(BaseModel):
    """An order as its owner sees it."""

    id: int
    client_order_id: str | None
    symbol: str
    side: OrderSide
    type: OrderKind
    time_in_force: OrderLasting
    self_trade_prevention: SelfTradePrevention
    price: str | None
    stop_price: str | None
    quantity: str | None = Field(description="Null if the order names what to pay instead")
    quote_quantity: str | None = Field(description="What a market buy may pay at most")
    executed_quantity: str
    executed_quote_quantity: str
    average_price: str | None = Field(
        description="Paid for one, rounded to 12 decimals; null before the first trade"
    )
    status: OrderState
    created_at: datetime
    updated_at: datetime


class RefusedOrder(BaseModel):
    """Why an order of a batch was not placed: a problem, as it would be answered alone."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str


class OrderPlaced(BaseModel):
    """An order of a batch that was placed."""

    order: OrderShown


class OrderNotPlaced(BaseModel):
    """An order of a batch that was refused."""

    problem: RefusedOrder


class BatchAnswer(BaseModel):
    """What became of each order of a batch, in their order."""

    items: list[OrderPlaced | OrderNotPlaced]


class OrderPage(BaseModel):
    """Some orders, the newest first, and where to go on."""

    items: list[OrderShown]
    next_cursor: str | None = Field(description="Pass it as `cursor`; null at the end")


class OrdersCancelled(BaseModel):
    """The orders that were taken back."""

    cancelled: list[int]


class FillShown(BaseModel):
    """Your side of a trade. The fee is in what you received."""

    trade_id: int
    order_id: int
    symbol: str
    side: OrderSide
    liquidity: Literal["maker", "taker"]
    price: str
    quantity: str
    quote_quantity: str
    fee: str
    fee_asset: str
    traded_at: datetime


class FillPage(BaseModel):
    """Some fills, the newest first, and where to go on."""

    items: list[FillShown]
    next_cursor: str | None = Field(description="Pass it as `cursor`; null at the end")


class WantedStatus(StrEnum):
    """Which orders a list shows."""

    OPEN = "open"
    ALL = "all"


class OrderQuery(Request):
    """Which orders a page shows."""

    symbol: MarketName | None = Field(default=None, description="Of one market only")
    status: WantedStatus = WantedStatus.ALL
    limit: int = Field(default=50, ge=1, le=PAGE_ORDERS_MAX)
    cursor: int | None = Field(
        default=None, ge=1, le=2**63 - 1, description="`next_cursor` of the last page"
    )
