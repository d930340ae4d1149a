"""Markets, prices and orders in one vocabulary for all eight. Money is `Decimal`, never float."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Side(StrEnum):
    """Which way an order trades."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """How an order names its price."""

    LIMIT = "limit"
    MARKET = "market"


class TimeInForce(StrEnum):
    """How long what is left of a limit order stays."""

    GTC = "gtc"
    """Until it is filled or cancelled."""
    IOC = "ioc"
    """Not at all: what cannot trade at once is cancelled."""
    FOK = "fok"
    """Not at all, and a part is not enough: it trades whole and at once, or not."""
    POST_ONLY = "post_only"
    """As GTC, but it only rests: it never trades at once."""


class OrderStatus(StrEnum):
    """Where an order stands."""

    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Market:
    """One spot market. `tick_size` and `step_size` are the smallest price and amount steps.

    The fees are parts of what a side receives (0.001 is a tenth of a percent).
    """

    base: str
    quote: str
    tick_size: Decimal
    step_size: Decimal
    min_amount: Decimal
    max_amount: Decimal
    min_notional: Decimal
    maker_fee: Decimal = Decimal(0)
    taker_fee: Decimal = Decimal(0)

    @property
    def symbol(self) -> str:
        """The unified symbol, for example BTC/USDT."""
        return f"{self.base}/{self.quote}"


@dataclass(frozen=True, slots=True)
class Ticker:
    """The last 24 hours of one market; `volume` in base, `quote_volume` in quote."""

    market: Market
    last: Decimal
    bid: Decimal
    bid_amount: Decimal
    ask: Decimal
    ask_amount: Decimal
    open: Decimal
    high: Decimal
    low: Decimal
    volume: Decimal
    quote_volume: Decimal
    at_ms: int


@dataclass(frozen=True, slots=True)
class Candle:
    """One candle; `open_ms` is its beginning, `interval_ms` its length."""

    open_ms: int
    interval_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal


@dataclass(frozen=True, slots=True)
class Level:
    """One price level of an order book."""

    price: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class OrderBook:
    """Bids from the highest, asks from the lowest. `version` counts changes, if anybody does."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    at_ms: int
    version: int = 0


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """One trade everybody sees; `side` is the taker's."""

    trade_id: int
    price: Decimal
    amount: Decimal
    side: Side
    at_ms: int


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order as it comes in. Exactly one of `amount` and `quote_amount` is set.

    `price` is None for a market order. `quote_amount` is what a market buy may spend.
    An order that its time in force forbids is taken and cancelled at once; `refuse_forbidden`
    is for the exchanges that refuse it instead. `any_worth` is for the one without a least worth.
    """

    symbol: str
    side: Side
    order_type: OrderType
    amount: Decimal | None
    price: Decimal | None
    quote_amount: Decimal | None = None
    client_order_id: str | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    refuse_forbidden: bool = False
    any_worth: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """An order as it stands. `filled_quote` is what the filled part cost.

    `fee` is what its fills paid together, in what the order receives.
    """

    order_id: int
    client_order_id: str
    market: Market
    side: Side
    order_type: OrderType
    status: OrderStatus
    price: Decimal | None
    amount: Decimal
    filled: Decimal
    filled_quote: Decimal
    created_ms: int
    updated_ms: int
    time_in_force: TimeInForce = TimeInForce.GTC
    fee: Decimal = Decimal(0)

    @property
    def is_open(self) -> bool:
        """Whether it can still trade."""
        return self.status in (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade as one of its two sides sees it; the other side has a fill of its own.

    `fee` is taken from what this side receives: the base asset for a buy, else the quote asset.
    """

    fill_id: int
    order_id: int
    market: Market
    side: Side
    price: Decimal
    amount: Decimal
    is_maker: bool
    at_ms: int
    fee: Decimal = Decimal(0)

    @property
    def cost(self) -> Decimal:
        """What changed hands, in quote."""
        return self.price * self.amount

    @property
    def fee_rate(self) -> Decimal:
        """Which part of what this side receives the fee is."""
        return self.market.maker_fee if self.is_maker else self.market.taker_fee


@dataclass(frozen=True, slots=True)
class Deposit:
    """Money an account was given from outside."""

    deposit_id: int
    asset: str
    amount: Decimal
    at_ms: int


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One change of what an account holds of one asset; `fill` is None for a deposit."""

    line_id: int
    asset: str
    change: Decimal
    balance: Decimal
    at_ms: int
    fill: Fill | None
