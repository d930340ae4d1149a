"""What a command brought about, in the order it happened.

An accepted order has no event of its own: without a `Rejected` it was accepted, and what it did not
trade and was not cancelled rests.
"""

from enum import StrEnum
from typing import NamedTuple


class RejectReason(StrEnum):
    """Why a command changed nothing."""

    ORDER_ID_NOT_NEW = "order_id_not_new"
    QUANTITY_OUT_OF_RANGE = "quantity_out_of_range"
    PRICE_OUT_OF_RANGE = "price_out_of_range"
    PRICE_MISSING = "price_missing"
    PRICE_NOT_ALLOWED = "price_not_allowed"
    STOP_PRICE_MISSING = "stop_price_missing"
    STOP_PRICE_NOT_ALLOWED = "stop_price_not_allowed"
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

    maker_order_id: int
    taker_order_id: int
    price: int
    quantity: int


class Cancelled(NamedTuple):
    """An order ended with `quantity` untraded."""

    order_id: int
    quantity: int
    reason: CancelReason


class Triggered(NamedTuple):
    """A trade reached an order's stop price; it is a limit order from here on."""

    order_id: int


class Rejected(NamedTuple):
    """A command was not carried out; nothing has changed."""

    order_id: int
    reason: RejectReason


Event = Traded | Cancelled | Triggered | Rejected
