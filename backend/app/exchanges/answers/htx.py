"""HTX's answers: status `ok` in version 1, code 200 in version 2.

Source: https://www.htx.com/en-us/opend/newApiPages/ (spot, account and trading)
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Final

from backend.app.enums import Known
from backend.app.exchanges.answers.asking import (
    cancel,
    fields_of,
    moment_in,
    order_asked,
    order_by_client_id,
    order_of,
)
from backend.app.exchanges.answers.base import Call, Handler, OrderRefused
from backend.app.exchanges.answers.htx_history import HISTORY_HANDLERS
from backend.app.exchanges.answers.htx_market import NAMES, PUBLIC_HANDLERS, succeeded
from backend.app.exchanges.answers.past import created_ms, orders_of, recent
from backend.app.exchanges.answers.rendering import DAY_MS, days_left, order_id_in, whole_in
from backend.app.exchanges.market_values import (
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from backend.app.money import plain

_REFUSALS: Final[Mapping[str, tuple[str, str]]] = {
    "unknown_symbol": ("base-symbol-error", "The symbol is invalid"),
    "bad_number": ("bad-request", "invalid parameter"),
    "tick_size": ("order-orderprice-precision-error", "order price precision error"),
    "step_size": ("order-orderamount-precision-error", "order amount precision error"),
    "min_amount": ("order-limitorder-amount-min-error", "limit order amount error"),
    "min_notional": ("order-value-min-error", "Order total is too low"),
    "insufficient_funds": (
        "account-frozen-balance-insufficient-error",
        "trade account balance is not enough",
    ),
    "duplicate_client_order_id": ("order-duplicate-client-order-id", "client order id is taken"),
    "too_many_open_orders": ("order-open-orders-limit", "too many open orders"),
    "order_not_found": ("base-record-invalid", "record invalid"),
}
_NO_END_DAYS: Final = -1
_TIMES_IN_FORCE: Final = {
    "limit": TimeInForce.GTC,
    "ioc": TimeInForce.IOC,
    "limit-fok": TimeInForce.FOK,
    "limit-maker": TimeInForce.POST_ONLY,
}
_ORDER_TYPES: Final = {time: word for word, time in _TIMES_IN_FORCE.items()}
_HISTORY_MAX: Final = 100
_HISTORY_SPAN_MAX: Final = 1_000


class HtxAnswers:
    """What HTX answers when all is well."""

    exchange: ClassVar[str] = "htx"

    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        """Return the handlers by method and path."""
        return {
            **PUBLIC_HANDLERS,
            **HISTORY_HANDLERS,
            ("GET", "/v2/user/uid"): lambda call: succeeded(_owner(call)),
            ("GET", "/v2/user/api-key"): _api_key,
            ("GET", "/v1/account/accounts"): _accounts,
            ("GET", "/v1/account/accounts/{account_id}/balance"): _balance,
            ("GET", "/v1/order/openOrders"): _open_orders,
            ("GET", "/v1/order/orders"): _orders_by_state,
            ("GET", "/v1/order/history"): _recent_orders,
            ("GET", "/v1/order/orders/getClientOrder"): _one_by_client_id,
            ("GET", "/v1/order/orders/{order_id}"): _one_order,
            ("POST", "/v1/order/orders/place"): _place,
            ("POST", "/v1/order/orders/{order_id}/submitcancel"): _cancel,
        }

    def render_order_refused(self, rule: str) -> tuple[int, Any]:
        """Return status and body of HTX's refusal; its status is 200."""
        code, words = _REFUSALS[rule]
        return 200, {"status": "error", "err-code": code, "err-msg": words, "data": None}


def _owner(call: Call) -> int:
    return int(call.world.key_information(call.account_id).owner_uid or 0)


def _api_key(call: Call) -> Any:
    asked = call.query.get("accessKey")
    if asked not in (None, "", call.api_key):
        return succeeded([])
    told = call.world.key_information(call.account_id)
    now_ms = call.world.now_ms()
    rights = {"readOnly": told.can_read, "trade": told.can_trade, "withdraw": told.can_withdraw}
    days = _NO_END_DAYS
    if told.expires_at is not None:
        days = days_left(told.expires_at, now_ms)
    key = {
        "accessKey": call.api_key,
        "status": "normal",
        "note": "sandbox",
        "permission": ",".join(name for name, right in rights.items() if right is Known.YES),
        "ipAddresses": ",".join(told.ip_addresses or ()),
        "validDays": days,
        "createTime": now_ms - DAY_MS,
        "updateTime": now_ms - DAY_MS,
    }
    return succeeded([key])


def _accounts(call: Call) -> Any:
    account = {"id": _owner(call), "type": "spot", "subtype": "", "state": "working"}
    return {"status": "ok", "data": [account]}


async def _balance(call: Call) -> Any:
    _require_own_account(call, call.path["account_id"])
    rows = [
        {"currency": balance.asset.lower(), "type": kind, "balance": plain(amount), "seq-num": "0"}
        for balance in await call.world.balances(call.account_id)
        for kind, amount in (("trade", balance.available), ("frozen", balance.locked))
    ]
    data = {"id": _owner(call), "type": "spot", "state": "working", "list": rows}
    return {"status": "ok", "data": data}


def _require_own_account(call: Call, account_id: object) -> None:
    if str(account_id) != str(_owner(call)):
        raise OrderRefused("bad_number")


async def _open_orders(call: Call) -> Any:
    if "account-id" in call.query:
        _require_own_account(call, call.query["account-id"])
    one = NAMES.market_or_none(call.world, call.query.get("symbol"))
    orders = await call.world.open_orders(call.account_id, one.symbol if one else None)
    rows = [
        {
            **_order(call, order),
            "filled-amount": plain(order.filled),
            "filled-cash-amount": plain(order.filled_quote),
            "filled-fees": plain(order.fee),
        }
        for order in reversed(orders)
    ]
    return {"status": "ok", "data": rows}


async def _one_order(call: Call) -> Any:
    order = await order_of(call, order_id_in(call.path["order_id"]), None)
    return {"status": "ok", "data": _past_order(call, order)}


async def _one_by_client_id(call: Call) -> Any:
    order = await order_by_client_id(call, call.query.get("clientOrderId"))
    return {"status": "ok", "data": _past_order(call, order)}


async def _orders_by_state(call: Call) -> Any:
    states = call.query.get("states", "").split(",")
    orders = await orders_of(call, NAMES.market(call.world, call.query.get("symbol")))
    return _cut(call, [o for o in orders if _state(o) in states], _HISTORY_MAX)


async def _recent_orders(call: Call) -> Any:
    orders = await orders_of(call, NAMES.market_or_none(call.world, call.query.get("symbol")))
    return _cut(call, [order for order in orders if not order.is_open], _HISTORY_SPAN_MAX)


def _cut(call: Call, orders: Sequence[Order], most: int) -> Any:
    rows = recent(
        orders,
        created_ms,
        start_ms=moment_in(call.query.get("start-time")),
        end_ms=moment_in(call.query.get("end-time")),
        most=whole_in(call.query.get("size"), _HISTORY_MAX, most),
    )
    return {"status": "ok", "data": [_past_order(call, order) for order in rows]}


def _past_order(call: Call, order: Order) -> Any:
    return {
        **_order(call, order),
        # `field` is HTX's own spelling of `filled` in this answer.
        "field-amount": plain(order.filled),
        "field-cash-amount": plain(order.filled_quote),
        "field-fees": plain(order.fee),
        "finished-at": 0 if order.is_open else order.updated_ms,
        "canceled-at": order.updated_ms if order.status is OrderStatus.CANCELLED else 0,
        "user-id": _owner(call),
        "batch": "",
    }


def _order(call: Call, order: Order) -> dict[str, Any]:
    is_market = order.order_type is OrderType.MARKET
    kind = "market" if is_market else _ORDER_TYPES[order.time_in_force]
    return {
        "id": order.order_id,
        "symbol": NAMES.name(order.market),
        "account-id": _owner(call),
        "client-order-id": order.client_order_id,
        "amount": plain(order.amount),
        "price": plain(order.price or Decimal(0)),
        "created-at": order.created_ms,
        "updated-at": order.updated_ms,
        "type": f"{order.side}-{kind}",
        "source": "spot-api",
        "state": _state(order),
    }


def _state(order: Order) -> str:
    if order.status is OrderStatus.CANCELLED:
        return "partial-canceled" if order.filled else "canceled"
    return {
        OrderStatus.OPEN: "submitted",
        OrderStatus.PARTIALLY_FILLED: "partial-filled",
        OrderStatus.FILLED: "filled",
    }[order.status]


def _asked(call: Call) -> OrderRequest:
    asked = fields_of(call.json)
    _require_own_account(call, asked.get("account-id"))
    side, _, kind = str(asked.get("type")).partition("-")
    # A market buy counts its amount in the quote currency.
    in_quote = kind == "market" and side == Side.BUY
    tif = _TIMES_IN_FORCE.get(kind)
    return order_asked(
        NAMES.market(call.world, asked.get("symbol")),
        side=side,
        order_type="limit" if tif else kind,
        size=asked.get("amount"),
        price=asked.get("price"),
        funds=asked.get("amount") if in_quote else None,
        client_order_id=asked.get("client-order-id"),
        time_in_force=tif or TimeInForce.GTC,
    )


async def _place(call: Call) -> Any:
    order = await call.world.place(call.account_id, _asked(call))
    return {"status": "ok", "data": str(order.order_id)}


async def _cancel(call: Call) -> Any:
    order = await cancel(call, order_id_in(call.path["order_id"]), None)
    return {"status": "ok", "data": str(order.order_id)}
