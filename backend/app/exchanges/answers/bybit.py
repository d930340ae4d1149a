"""Bybit's answers: one envelope with `retCode`, a unified account, every number as text.

Source: https://bybit-exchange.github.io/docs/v5/intro
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Final

from backend.app.exchanges.answers.asking import (
    cancel,
    fields_of,
    moment_in,
    order_asked,
    order_by_client_id,
    order_of,
    time_in_force_in,
)
from backend.app.exchanges.answers.base import Call, Handler, OrderRefused
from backend.app.exchanges.answers.bybit_account import ACCOUNT_HANDLERS
from backend.app.exchanges.answers.bybit_history import HISTORY_HANDLERS
from backend.app.exchanges.answers.bybit_market import (
    NAMES,
    PUBLIC_HANDLERS,
    SPOT,
    answered,
    is_spot,
)
from backend.app.exchanges.answers.past import closed_orders_of, created_ms, recent
from backend.app.exchanges.answers.rendering import average_price, order_id_in, whole_in
from backend.app.exchanges.market_values import (
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    TimeInForce,
)
from backend.app.money import plain

_STATUSES: Final = {
    OrderStatus.OPEN: "New",
    OrderStatus.PARTIALLY_FILLED: "PartiallyFilled",
    OrderStatus.FILLED: "Filled",
    OrderStatus.CANCELLED: "Cancelled",
}
_TIMES_IN_FORCE: Final = {
    "gtc": TimeInForce.GTC,
    "ioc": TimeInForce.IOC,
    "fok": TimeInForce.FOK,
    "postonly": TimeInForce.POST_ONLY,
}
_TIME_WORDS: Final = {
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
    TimeInForce.POST_ONLY: "PostOnly",
}
_HISTORY_DEFAULT: Final = 20
_HISTORY_MAX: Final = 50
_REFUSALS: Final[Mapping[str, tuple[int, str]]] = {
    "unknown_symbol": (10001, "Not supported symbols"),
    "bad_number": (10001, "Request parameter error."),
    "tick_size": (170134, "Order price has too many decimals."),
    "step_size": (170137, "Order quantity has too many decimals."),
    "min_amount": (170136, "Order quantity exceeded lower limit."),
    "min_notional": (170140, "Order value exceeded lower limit."),
    "insufficient_funds": (170131, "Insufficient balance."),
    "duplicate_client_order_id": (170141, "Duplicate clientOrderId."),
    "too_many_open_orders": (170810, "Cannot exceed maximum of active orders."),
    "order_not_found": (170213, "Order does not exist."),
}


class BybitAnswers:
    """What Bybit answers when all is well."""

    exchange: ClassVar[str] = "bybit"

    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        """Return the handlers by method and path."""
        return {
            **PUBLIC_HANDLERS,
            **ACCOUNT_HANDLERS,
            **HISTORY_HANDLERS,
            ("GET", "/v5/order/realtime"): _orders,
            ("GET", "/v5/order/history"): _history,
            ("POST", "/v5/order/create"): _place,
            ("POST", "/v5/order/cancel"): _cancel,
        }

    def render_order_refused(self, rule: str) -> tuple[int, Any]:
        """Return status and body of Bybit's refusal; its status is 200."""
        code, words = _REFUSALS[rule]
        return 200, {"retCode": code, "retMsg": words, "result": {}, "retExtInfo": {}, "time": 0}


async def _orders(call: Call) -> Any:
    return _listed(call, await _asked_orders(call) if is_spot(call) else [])


def _listed(call: Call, orders: Sequence[Order]) -> Any:
    rows = [_order(order) for order in orders]
    category = call.query.get("category", SPOT)
    return answered(call, {"category": category, "list": rows, "nextPageCursor": ""})


async def _history(call: Call) -> Any:
    market = NAMES.market_or_none(call.world, call.query.get("symbol"))
    wanted: dict[str, Callable[[Order], str]] = {
        "orderId": lambda order: str(order.order_id),
        "orderLinkId": lambda order: order.client_order_id,
        "orderStatus": lambda order: _STATUSES[order.status],
    }
    asked = [(told, call.query[name]) for name, told in wanted.items() if call.query.get(name)]
    rows = recent(
        (
            o
            for o in await closed_orders_of(call, market)
            if all(told(o) == word for told, word in asked)
        ),
        created_ms,
        start_ms=moment_in(call.query.get("startTime")),
        end_ms=moment_in(call.query.get("endTime")),
        most=whole_in(call.query.get("limit"), _HISTORY_DEFAULT, _HISTORY_MAX),
    )
    return _listed(call, rows if is_spot(call) else [])


async def _asked_orders(call: Call) -> list[Order]:
    market = NAMES.market_or_none(call.world, call.query.get("symbol"))
    if call.query.get("orderId"):
        try:
            return [await order_of(call, order_id_in(call.query["orderId"]), market)]
        except OrderRefused:
            # Bybit answers an unknown id with an empty list.
            return []
    client_order_id = call.query.get("orderLinkId")
    orders = await call.world.open_orders(call.account_id, market.symbol if market else None)
    wanted = (o for o in orders if client_order_id in (None, "", o.client_order_id))
    return list(reversed(tuple(wanted)))


def _order(order: Order) -> Any:
    left = order.amount - order.filled
    is_market = order.order_type is OrderType.MARKET
    return {
        "orderId": str(order.order_id),
        "orderLinkId": order.client_order_id,
        "blockTradeId": "",
        "symbol": NAMES.name(order.market),
        "price": plain(order.price or Decimal(0)),
        "qty": plain(order.amount),
        "side": order.side.capitalize(),
        "isLeverage": "0",
        "positionIdx": 0,
        "orderStatus": _STATUSES[order.status],
        "cancelType": "CancelByUser" if order.status is OrderStatus.CANCELLED else "UNKNOWN",
        "rejectReason": "EC_NoError",
        "avgPrice": plain(average_price(order)) if order.filled else "",
        "leavesQty": "0" if order.status is OrderStatus.CANCELLED else plain(left),
        "leavesValue": plain(left * (order.price or Decimal(0))),
        "cumExecQty": plain(order.filled),
        "cumExecValue": plain(order.filled_quote),
        "cumExecFee": plain(order.fee),
        "timeInForce": "IOC" if is_market else _TIME_WORDS[order.time_in_force],
        "orderType": order.order_type.capitalize(),
        "stopOrderType": "",
        "orderIv": "",
        "marketUnit": "baseCoin" if is_market else "",
        "triggerPrice": "0",
        "takeProfit": "",
        "stopLoss": "",
        "reduceOnly": False,
        "closeOnTrigger": False,
        "createdTime": str(order.created_ms),
        "updatedTime": str(order.updated_ms),
    }


def _asked(call: Call) -> OrderRequest:
    asked = fields_of(call.json)
    if asked.get("category") != SPOT:
        raise OrderRefused("unknown_symbol")
    is_market = asked.get("orderType") == "Market"
    # A market buy counts its size in the quote coin unless the request says otherwise.
    in_quote = is_market and asked.get("side") == "Buy"
    in_quote = in_quote and asked.get("marketUnit", "quoteCoin") != "baseCoin"
    return order_asked(
        NAMES.market(call.world, asked.get("symbol")),
        side=asked.get("side"),
        order_type=asked.get("orderType"),
        size=asked.get("qty"),
        price=asked.get("price"),
        funds=asked.get("qty") if in_quote else None,
        client_order_id=asked.get("orderLinkId"),
        time_in_force=time_in_force_in(_TIMES_IN_FORCE, asked.get("timeInForce")),
    )


async def _place(call: Call) -> Any:
    return _acknowledged(call, await call.world.place(call.account_id, _asked(call)))


async def _cancel(call: Call) -> Any:
    asked = fields_of(call.json)
    market = NAMES.market(call.world, asked.get("symbol"))
    if asked.get("orderId"):
        return _acknowledged(call, await cancel(call, order_id_in(asked["orderId"]), market))
    named = await order_by_client_id(call, asked.get("orderLinkId"), market)
    return _acknowledged(call, await cancel(call, named.order_id, market))


def _acknowledged(call: Call, order: Order) -> Any:
    return answered(call, {"orderId": str(order.order_id), "orderLinkId": order.client_order_id})
