"""What an order brought about in a book, in the order it happened, and why one is refused."""

from enum import StrEnum
from typing import NamedTuple

from backend.app.venue.open_orders import OpenOrder


class RejectReason(StrEnum):
    """Why a command changed nothing."""

    ORDER_ID_NOT_NEW = "order_id_not_new"
    QUANTITY_OUT_OF_RANGE = "quantity_out_of_range"
    """Of an order, or the amount of a transfer: nothing, less than nothing, or too much."""
    PRICE_OUT_OF_RANGE = "price_out_of_range"
    PRICE_MISSING = "price_missing"
    PRICE_NOT_ALLOWED = "price_not_allowed"
    STOP_PRICE_MISSING = "stop_price_missing"
    STOP_PRICE_NOT_ALLOWED = "stop_price_not_allowed"
    BUDGET_NOT_ALLOWED = "budget_not_allowed"
    """Only a market buy without a quantity has one."""
    BUDGET_TOO_SMALL = "budget_too_small"
    """It does not pay for one lot at the best price there is."""
    INSUFFICIENT_FUNDS = "insufficient_funds"
    """The account has less available than the command would take or lock."""
    TOO_MANY_OPEN_ORDERS = "too_many_open_orders"
    """The account has as many open orders of this instrument as one may have."""
    WOULD_TAKE = "would_take"
    """A post-only order that would have traded at once."""
    NOT_OPEN = "not_open"
    """No such open order, or another account's."""


class CancelReason(StrEnum):
    """Why an order left the book, or never entered it, with a rest."""

    ASKED = "asked"
    IMMEDIATE_OR_CANCEL = "immediate_or_cancel"
    FILL_OR_KILL = "fill_or_kill"
    NO_LIQUIDITY = "no_liquidity"
    """A market order that found no more counterparts."""
    SELF_TRADE = "self_trade"
    WOULD_TAKE = "would_take"
    """A post-only order that would have traded when its stop price was reached."""


class Traded(NamedTuple):
    """Two orders met, at the price of the one that rested."""

    maker: OpenOrder
    taker: OpenOrder
    price: int
    quantity: int


class Cancelled(NamedTuple):
    """An order ended with `quantity` untraded."""

    order: OpenOrder
    quantity: int
    reason: CancelReason


class Triggered(NamedTuple):
    """A trade reached an order's stop price; it is a limit order from here on."""

    order: OpenOrder


Event = Traded | Cancelled | Triggered
