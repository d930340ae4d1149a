"""What a request asks for, read the same way wherever exchanges agree: orders and candle spans."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from backend.app.exchanges.answers.base import Call, OrderRefused
from backend.app.exchanges.answers.rendering import decimal_in, whole_in
from backend.app.exchanges.market_values import (
    Candle,
    Market,
    Order,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
)

CLIENT_ORDER_ID_MAX_CHARACTERS: Final = 64
_TIME_MAX_MS: Final = 10**15
"""Far beyond any candle; keeps the arithmetic on a hostile number small."""


def fields_of(body: Any) -> Mapping[str, Any]:
    """Return the fields of a JSON body; a body that is no object has none."""
    return body if isinstance(body, dict) else {}


def order_asked(
    market: Market,
    *,
    side: object,
    order_type: object,
    size: object = None,
    price: object = None,
    funds: object = None,
    client_order_id: object = None,
    time_in_force: TimeInForce = TimeInForce.GTC,
    refuse_forbidden: bool = False,
    any_worth: bool = False,
) -> OrderRequest:
    """Read an order from an exchange's own words, in any case. `funds` is what a buy may spend.

    A market order has no time in force: what is said of it there is not read.

    Raises:
        OrderRefused: bad_number, where a word is unknown or a number is missing or surplus.
    """
    kind, way = _order_type_in(order_type), _side_in(side)
    by_funds = funds not in (None, "")
    if by_funds and (kind is OrderType.LIMIT or way is Side.SELL):
        raise OrderRefused("bad_number")
    return OrderRequest(
        symbol=market.symbol,
        side=way,
        order_type=kind,
        amount=None if by_funds else decimal_in(size),
        price=decimal_in(price) if kind is OrderType.LIMIT else None,
        quote_amount=decimal_in(funds) if by_funds else None,
        client_order_id=_client_order_id_in(client_order_id),
        time_in_force=time_in_force if kind is OrderType.LIMIT else TimeInForce.GTC,
        refuse_forbidden=refuse_forbidden,
        any_worth=any_worth,
    )


def time_in_force_in(words: Mapping[str, TimeInForce], word: object) -> TimeInForce:
    """Read an exchange's own word, in any case; absent means until cancelled.

    Raises:
        OrderRefused: bad_number, for a word that is not in the table, so that none is dropped.
    """
    if word in (None, ""):
        return TimeInForce.GTC
    found = words.get(str(word).lower())
    if found is None:
        raise OrderRefused("bad_number")
    return found


async def order_of(call: Call, order_id: int, market: Market | None) -> Order:
    """Return one order of the caller; another market's order is not found under this one.

    Raises:
        OrderRefused: order_not_found.
    """
    order = await call.world.order(call.account_id, order_id)
    if market is not None and order.market.symbol != market.symbol:
        raise OrderRefused("order_not_found")
    return order


async def order_by_client_id(
    call: Call, client_order_id: object, market: Market | None = None
) -> Order:
    """Return the caller's last order of that name, open or closed: the one the caller gave it.

    Raises:
        OrderRefused: order_not_found.
    """
    orders = await call.world.orders(call.account_id, market.symbol if market else None)
    for order in reversed(orders):
        if client_order_id and order.client_order_id == client_order_id:
            return order
    raise OrderRefused("order_not_found")


async def cancel(call: Call, order_id: int, market: Market | None) -> Order:
    """Cancel one order of the caller and return it as it then stands.

    Raises:
        OrderRefused: order_not_found.
    """
    await order_of(call, order_id, market)
    return await call.world.cancel(call.account_id, order_id)


def candles_between(
    call: Call,
    market: Market,
    interval_ms: int,
    *,
    start_ms: int | None,
    end_ms: int | None,
    most: int,
) -> Sequence[Candle]:
    """Return up to `most` candles from start to end, oldest first; an open start means the last."""
    now_ms = call.world.now_ms()
    last_ms = now_ms if end_ms is None else min(end_ms, now_ms)
    if start_ms is not None:
        last_ms = min(last_ms, start_ms + interval_ms * most - 1)
        # Those that open from the start on: what is older need not be worked out.
        most = min(most, last_ms // interval_ms + -start_ms // interval_ms + 1)
    if most <= 0 or last_ms < (start_ms or 0):
        return ()
    return call.world.candles(market.symbol, interval_ms, most, last_ms)


def moment_in(value: object, unit_ms: int = 1) -> int | None:
    """Read a moment as Unix milliseconds from a count of its unit; absent means none.

    Raises:
        OrderRefused: bad_number.
    """
    if value in (None, ""):
        return None
    return min(whole_in(value, 0, _TIME_MAX_MS) * unit_ms, _TIME_MAX_MS)


def _side_in(word: object) -> Side:
    try:
        return Side(str(word).lower())
    except ValueError:
        raise OrderRefused("bad_number") from None


def _order_type_in(word: object) -> OrderType:
    try:
        return OrderType(str(word).lower())
    except ValueError:
        raise OrderRefused("bad_number") from None


def _client_order_id_in(value: object) -> str | None:
    if value in (None, ""):
        return None
    if not isinstance(value, str) or len(value) > CLIENT_ORDER_ID_MAX_CHARACTERS:
        raise OrderRefused("bad_number")
    return value
