"""What an order says. Prices are whole ticks, quantities whole lots."""

from enum import StrEnum
from typing import Final, NamedTuple

PRICE_MAX: Final = 2**53
QUANTITY_MAX: Final = 2**53


class Side(StrEnum):
    """Which way an order trades."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """How an order names its price."""

    LIMIT = "limit"
    MARKET = "market"
    """At any price, at once; what finds no counterpart is cancelled."""
    STOP_LIMIT = "stop_limit"
    """A limit order that waits until a trade reaches its stop price."""


class TimeInForce(StrEnum):
    """How long what is left of a limit order stays."""

    GTC = "gtc"
    """Good till cancelled."""
    IOC = "ioc"
    """Immediate or cancel: what cannot trade at once is cancelled."""
    FOK = "fok"
    """Fill or kill: it trades whole and at once, or not at all."""
    POST_ONLY = "post_only"
    """As GTC, but it never takes: an order that would trade at once is rejected."""


class SelfTrade(StrEnum):
    """What happens when an order meets one of the same account: self-trade prevention."""

    ALLOW = "allow"
    CANCEL_TAKER = "cancel_taker"
    """The order that came is cancelled; what it traded before stands."""
    CANCEL_MAKER = "cancel_maker"
    """The order that rests is cancelled, and matching goes on."""
    CANCEL_BOTH = "cancel_both"


class Place(NamedTuple):
    """A new order. `price` is None for market orders, `stop_price` for all but stop-limit ones."""

    order_id: int
    account_id: int
    side: Side
    quantity: int
    price: int | None
    type: OrderType = OrderType.LIMIT
    time_in_force: TimeInForce = TimeInForce.GTC
    stop_price: int | None = None
    self_trade: SelfTrade = SelfTrade.ALLOW
