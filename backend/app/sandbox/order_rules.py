"""The rules an order must keep before anything moves; each is refused by its own name."""

from decimal import Decimal
from typing import Final

from backend.app.exchanges.answers.base import OrderRefused
from backend.app.exchanges.market_values import Market, OrderRequest, OrderType

CLIENT_ORDER_ID_LENGTH_MAX_CHARACTERS: Final = 64
PRICE_RATIO_MAX: Final = 100
"""A limit price may be at most this many times the market's middle price."""


def check_numbers(market: Market, asked: OrderRequest, price_max: Decimal) -> None:
    """Check what can be checked without the book.

    Raises:
        OrderRefused: bad_number, tick_size, step_size or min_amount.
    """
    name = asked.client_order_id or ""
    # A NUL or half a surrogate pair fits into no database; neither is printable.
    if len(name) > CLIENT_ORDER_ID_LENGTH_MAX_CHARACTERS or not name.isprintable():
        raise OrderRefused("bad_number")
    if (asked.amount is None) == (asked.quote_amount is None):
        raise OrderRefused("bad_number")
    if (asked.price is None) != (asked.order_type is OrderType.MARKET):
        raise OrderRefused("bad_number")
    if asked.price is not None:
        _check_multiple(asked.price, price_max, market.tick_size, "tick_size")
    if asked.amount is not None:
        _check_multiple(asked.amount, market.max_amount, market.step_size, "step_size")
        if asked.amount < market.min_amount:
            raise OrderRefused("min_amount")


def check_size(market: Market, asked: OrderRequest, amount: Decimal, worth: Decimal) -> None:
    """Check what an order comes to once it is known what it would trade with.

    Raises:
        OrderRefused: min_notional, min_amount or bad_number.
    """
    if worth < market.min_notional and not asked.any_worth:
        raise OrderRefused("min_notional")
    if amount < market.min_amount:
        raise OrderRefused("min_amount")
    if amount > market.max_amount:
        raise OrderRefused("bad_number")


def _check_multiple(number: Decimal, most: Decimal, step: Decimal, rule: str) -> None:
    if not number.is_finite() or not 0 < number <= most:
        raise OrderRefused("bad_number")
    if number % step:
        raise OrderRefused(rule)
