"""OKX's answers: one envelope, every number as text, orders acknowledged item by item.

Source: https://www.okx.com/docs-v5/en/
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Final

from backend.app.exchanges.answers.asking import (
    cancel,
    fields_of,
    moment_in,
    order_asked,
    order_by_client_id,
    order_of,
)
from backend.app.exchanges.answers.base import Call, Handler, OrderRefused
from backend.app.exchanges.answers.okx_account import ACCOUNT_HANDLERS
from backend.app.exchanges.answers.okx_history import HISTORY_HANDLERS
from backend.app.exchanges.answers.okx_market import NAMES, PUBLIC_HANDLERS, answered
from backend.app.exchanges.answers.past import closed_orders_of, created_ms, received, recent
from backend.app.exchanges.answers.rendering import average_price, order_id_in, whole_in
from backend.app.exchanges.market_values import (
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    TimeInForce,
)
from backend.app.money import plain

_ORDERS_PER_BATCH_MAX: Final = 20
_STATES: Final = {
    OrderStatus.OPEN: "live",
    OrderStatus.PARTIALLY_FILLED: "partially_filled",
    OrderStatus.FILLED: "filled",
    OrderStatus.CANCELLED: "canceled",
}
_TIMES_IN_FORCE: Final = {
    "limit": TimeInForce.GTC,
    "ioc": TimeInForce.IOC,
    "fok": TimeInForce.FOK,
    "post_only": TimeInForce.POST_ONLY,
}
_ORDER_TYPES: Final = {time: word for word, time in _TIMES_IN_FORCE.items()}
_HISTORY_MAX: Final = 100
_REFUSALS: Final[Mapping[str, tuple[str, str]]] = {
    "unknown_symbol": ("51001", "Instrument ID does not exist."),
    "bad_number": ("51000", "Parameter error"),
    "tick_size": ("51006", "Order price is not within the price limit"),
    "step_size": ("51121", "Order quantity must be a multiple of the lot size."),
    "min_amount": ("51020", "Your order should meet or exceed the minimum order amount."),
    "min_notional": ("51020", "Your order should meet or exceed the minimum order amount."),
    "insufficient_funds": ("51008", "Order failed. Insufficient balance in account."),
    "duplicate_client_order_id": ("51016", "Client order ID already exists."),
    "too_many_open_orders": ("51174", "The number of pending orders reached the upper limit."),
    "order_not_found": ("51603", "Order does not exist"),
}
# The same rule has another code where a cancellation meets it.
_CANCEL_NOT_FOUND: Final = (
    "51400",
    "Cancellation failed as the order has been filled, canceled or does not exist.",
)


class OkxAnswers:
    """What OKX answers when all is well."""

    exchange: ClassVar[str] = "okx"

    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        """Return the handlers by method and path."""
        return {
            **PUBLIC_HANDLERS,
            **HISTORY_HANDLERS,
            **ACCOUNT_HANDLERS,
            ("GET", "/api/v5/trade/orders-pending"): _pending,
            ("GET", "/api/v5/trade/orders-history"): _history,
            ("GET", "/api/v5/trade/orders-history-archive"): _history,
            ("GET", "/api/v5/trade/order"): _one_order,
            ("POST", "/api/v5/trade/order"): _batch(_place),
            ("POST", "/api/v5/trade/batch-orders"): _batch(_place),
            ("POST", "/api/v5/trade/cancel-order"): _batch(_cancel),
            ("POST", "/api/v5/trade/cancel-batch-orders"): _batch(_cancel),
        }

    def render_order_refused(self, rule: str) -> tuple[int, Any]:
        """Return status and body of OKX's refusal; its status is 200."""
        code, words = _REFUSALS[rule]
        return 200, {"code": code, "msg": words, "data": []}


async def _pending(call: Call) -> Any:
    if call.query.get("instType", "SPOT") != "SPOT":
        return answered([])
    one = NAMES.market_or_none(call.world, call.query.get("instId"))
    orders = await call.world.open_orders(call.account_id, one.symbol if one else None)
    return answered([_order(order) for order in reversed(orders)])


async def _history(call: Call) -> Any:
    if call.query.get("instType", "SPOT") != "SPOT":
        return answered([])
    state = call.query.get("state")
    closed = await closed_orders_of(
        call, NAMES.market_or_none(call.world, call.query.get("instId"))
    )
    rows = recent(
        (order for order in closed if state in (None, "", _STATES[order.status])),
        created_ms,
        start_ms=moment_in(call.query.get("begin")),
        end_ms=moment_in(call.query.get("end")),
        most=whole_in(call.query.get("limit"), _HISTORY_MAX, _HISTORY_MAX),
    )
    return answered([_order(order) for order in rows])


async def _one_order(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("instId"))
    if "ordId" in call.query:
        return answered([_order(await order_of(call, order_id_in(call.query["ordId"]), market))])
    return answered([_order(await order_by_client_id(call, call.query.get("clOrdId")))])


def _order(order: Order) -> Any:
    is_market = order.order_type is OrderType.MARKET
    return {
        "instType": "SPOT",
        "instId": NAMES.name(order.market),
        "ordId": str(order.order_id),
        "clOrdId": order.client_order_id,
        "tag": "",
        "px": "" if order.price is None else plain(order.price),
        "sz": plain(order.amount),
        "ordType": "market" if is_market else _ORDER_TYPES[order.time_in_force],
        "side": str(order.side),
        "posSide": "",
        "tdMode": "cash",
        "tgtCcy": "base_ccy" if is_market else "",
        "accFillSz": plain(order.filled),
        "avgPx": plain(average_price(order)) if order.filled else "",
        "fillPx": plain(average_price(order)) if order.filled else "",
        "fillSz": plain(order.filled),
        "fillTime": str(order.updated_ms) if order.filled else "",
        "tradeId": str(order.order_id) if order.filled else "",
        "state": _STATES[order.status],
        "lever": "",
        "fee": plain(-order.fee),
        "feeCcy": received(order.side, order.market),
        "rebate": "0",
        "rebateCcy": order.market.quote,
        "pnl": "0",
        "source": "",
        "category": "normal",
        "reduceOnly": "false",
        "cTime": str(order.created_ms),
        "uTime": str(order.updated_ms),
    }


def _batch(act: Callable[[Call, Mapping[str, Any]], Awaitable[Order]]) -> Handler:
    """Act on every item of the body; the code tells whether all, some or none succeeded."""

    async def handler(call: Call) -> Any:
        items = call.json if isinstance(call.json, list) else [call.json]
        if not items or len(items) > _ORDERS_PER_BATCH_MAX:
            raise OrderRefused("bad_number")
        done = [await _acknowledged(call, act, fields_of(item)) for item in items]
        failed = sum(item["sCode"] != "0" for item in done)
        code = "0" if not failed else "1" if failed == len(done) else "2"
        words = {"0": "", "1": "All operations failed", "2": "Bulk operation partially succeeded"}
        return {"code": code, "msg": words[code], "data": done}

    return handler


async def _acknowledged(
    call: Call, act: Callable[[Call, Mapping[str, Any]], Awaitable[Order]], item: Mapping[str, Any]
) -> dict[str, Any]:
    head = {"clOrdId": str(item.get("clOrdId") or ""), "tag": str(item.get("tag") or "")}
    try:
        order = await act(call, item)
    except OrderRefused as refused:
        code, words = _REFUSALS[refused.rule]
        if refused.rule == "order_not_found":
            code, words = _CANCEL_NOT_FOUND
        return {**head, "ordId": "", "ts": "", "sCode": code, "sMsg": words}
    at = str(order.updated_ms)
    return {**head, "ordId": str(order.order_id), "ts": at, "sCode": "0", "sMsg": ""}


async def _place(call: Call, item: Mapping[str, Any]) -> Order:
    return await call.world.place(call.account_id, _asked(call, item))


def _asked(call: Call, item: Mapping[str, Any]) -> OrderRequest:
    # A market buy counts its size in the quote currency unless the request says otherwise.
    in_quote = (item.get("ordType"), item.get("side")) == ("market", "buy")
    in_quote = in_quote and item.get("tgtCcy", "quote_ccy") == "quote_ccy"
    tif = _TIMES_IN_FORCE.get(str(item.get("ordType")))
    return order_asked(
        NAMES.market(call.world, item.get("instId")),
        side=item.get("side"),
        order_type="limit" if tif else item.get("ordType"),
        size=item.get("sz"),
        price=item.get("px"),
        funds=item.get("sz") if in_quote else None,
        client_order_id=item.get("clOrdId"),
        time_in_force=tif or TimeInForce.GTC,
        # OKX states a least amount for each market, and no least worth.
        any_worth=True,
    )


async def _cancel(call: Call, item: Mapping[str, Any]) -> Order:
    market = NAMES.market(call.world, item.get("instId"))
    if item.get("ordId"):
        return await cancel(call, order_id_in(item["ordId"]), market)
    return await cancel(
        call, (await order_by_client_id(call, item.get("clOrdId"))).order_id, market
    )
