"""Gate's success answers: bare objects and lists. Every account here is a classic one.

Source: https://www.gate.com/docs/developers/apiv4 (Spot, Account).
"""

from collections.abc import Mapping
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from backend.app.enums import Known
from backend.app.exchanges.answers import gate_market
from backend.app.exchanges.answers.asking import (
    fields_of,
    order_asked,
    order_by_client_id,
    order_of,
    time_in_force_in,
)
from backend.app.exchanges.answers.base import Call, Handler, OrderRefused
from backend.app.exchanges.answers.gate_history import HISTORY_HANDLERS, page_of
from backend.app.exchanges.answers.gate_market import NAMES
from backend.app.exchanges.answers.past import closed_orders_of, created_ms, received
from backend.app.exchanges.answers.rendering import average_price, order_id_in, whole_in
from backend.app.exchanges.key_information import KeyInformation
from backend.app.exchanges.market_values import (
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from backend.app.money import plain

_PAGE_DEFAULT: Final = 100
_PAGE_MAX: Final = 100
_PAGES_MAX: Final = 10_000
_KEY_CREATED_S: Final = 1_704_067_200
_KEY_PREFIX_CHARACTERS: Final = 8
_CLASSIC_MODE: Final = 1
_NORMAL_STATE: Final = 1
_NO_CLIENT_ID: Final = "apiv4"
_CLIENT_ID_PREFIX: Final = "t-"

_TIMES_IN_FORCE: Final = {
    "gtc": TimeInForce.GTC,
    "ioc": TimeInForce.IOC,
    "fok": TimeInForce.FOK,
    "poc": TimeInForce.POST_ONLY,
}
_TIME_WORDS: Final = {time: word for word, time in _TIMES_IN_FORCE.items()}

_STATUS: Final = {
    OrderStatus.OPEN: ("open", "open"),
    OrderStatus.PARTIALLY_FILLED: ("open", "open"),
    OrderStatus.FILLED: ("closed", "filled"),
    OrderStatus.CANCELLED: ("cancelled", "cancelled"),
}

_MAIN_ACCOUNT_ONLY: Final = "main_account_only"

_REFUSALS: Final = {
    "unknown_symbol": (400, "INVALID_CURRENCY_PAIR", "Invalid currency pair"),
    "bad_number": (400, "INVALID_PARAM_VALUE", "Invalid parameter value"),
    "tick_size": (400, "INVALID_PRECISION", "Invalid price precision"),
    "step_size": (400, "INVALID_PRECISION", "Invalid amount precision"),
    "min_amount": (400, "AMOUNT_TOO_LITTLE", "Order amount is too small"),
    "min_notional": (400, "INVALID_PARAM_VALUE", "Your order size is too small"),
    "insufficient_funds": (400, "BALANCE_NOT_ENOUGH", "Not enough balance"),
    "duplicate_client_order_id": (400, "REPEATED_CREATION", "Order already exists"),
    "too_many_open_orders": (400, "TOO_MANY_ORDERS", "Too many open orders"),
    "order_not_found": (404, "ORDER_NOT_FOUND", "Order not found"),
    "would_trade": (
        400,
        "POC_FILL_IMMEDIATELY",
        "Order would match and take immediately so its cancelled",
    ),
    "not_fillable": (400, "FOK_NOT_FILL", "Order cannot be filled completely"),
    _MAIN_ACCOUNT_ONLY: (403, "FORBIDDEN", "Only the main account may ask this"),
}


def _detail(call: Call) -> Any:
    information = call.world.key_information(call.account_id)
    return {
        "user_id": int(information.owner_uid or 0),
        "ip_whitelist": list(information.ip_addresses or ()),
        "currency_pairs": [],
        "key": {"mode": _CLASSIC_MODE},
        "tier": 0,
        "tier_expire_time": "0001-01-01T00:00:00Z",
        "copy_trading_role": 0,
    }


def _main_keys(call: Call) -> Any:
    information = call.world.key_information(call.account_id)
    if information.is_sub_account is Known.YES:
        raise OrderRefused(_MAIN_ACCOUNT_ONLY)
    return [
        {
            "state": _NORMAL_STATE,
            "mode": _CLASSIC_MODE,
            "name": "key",
            "currency_pairs": [],
            "user_id": int(information.owner_uid or 0),
            "ip_whitelist": list(information.ip_addresses or ()),
            "perms": _permissions(information),
            "key": _masked(call.api_key),
            "created_at": _KEY_CREATED_S,
            "updated_at": _KEY_CREATED_S,
            "last_access": call.world.now_ms() // 1_000,
        }
    ]


def _permissions(information: KeyInformation) -> list[dict[str, Any]]:
    # Gate has one name for every way of moving money, and a right to write holds that to read.
    moves = Known.YES in (information.can_transfer, information.can_withdraw)
    trades = information.can_trade is Known.YES
    named = (("spot", trades), ("wallet", moves), ("account", False))
    reads = information.can_read is Known.YES
    return [{"name": name, "read_only": not writes} for name, writes in named if writes or reads]


def _masked(api_key: str) -> str:
    shown = api_key[:_KEY_PREFIX_CHARACTERS]
    return shown + "*" * (len(api_key) - len(shown))


async def _accounts(call: Call) -> Any:
    currency = call.query.get("currency")
    return [
        {
            "currency": balance.asset,
            "available": plain(balance.available),
            "locked": plain(balance.locked),
            "update_id": 1,
        }
        for balance in await call.world.balances(call.account_id)
        if currency in (None, "", balance.asset)
    ]


async def _place(call: Call) -> Any:
    return _order(await call.world.place(call.account_id, _order_in(call)))


def _order_in(call: Call) -> OrderRequest:
    body = fields_of(call.json)
    order_type = str(body.get("type") or "limit")
    text = body.get("text")
    if text and not str(text).startswith(_CLIENT_ID_PREFIX):
        raise OrderRefused("bad_number")
    # The amount of a market buy is what it may spend.
    spends = order_type == "market" and body.get("side") == "buy"
    return order_asked(
        NAMES.market(call.world, body.get("currency_pair")),
        side=body.get("side"),
        order_type=order_type,
        price=body.get("price"),
        size=None if spends else body.get("amount"),
        funds=body.get("amount") if spends else None,
        client_order_id=text,
        time_in_force=time_in_force_in(_TIMES_IN_FORCE, body.get("time_in_force")),
        refuse_forbidden=True,
    )


async def _cancel(call: Call) -> Any:
    return _order(await call.world.cancel(call.account_id, (await _asked_order(call)).order_id))


async def _one(call: Call) -> Any:
    return _order(await _asked_order(call))


async def _asked_order(call: Call) -> Order:
    # An order has its number and the name its owner gave it, and answers to both.
    market = NAMES.market(call.world, call.query.get("currency_pair"))
    asked = call.path["order_id"]
    if asked.startswith(_CLIENT_ID_PREFIX):
        return await order_by_client_id(call, asked, market)
    return await order_of(call, order_id_in(asked), market)


async def _orders(call: Call) -> Any:
    market = NAMES.market_or_none(call.world, call.query.get("currency_pair"))
    status = call.query.get("status")
    if status not in ("open", "finished"):
        raise OrderRefused("bad_number")
    orders = await closed_orders_of(call, market)
    if status == "open":
        orders = await call.world.open_orders(call.account_id, market.symbol if market else None)
    return [_order(order) for order in page_of(call, orders, created_ms)]


async def _open_orders(call: Call) -> Any:
    limit = max(1, whole_in(call.query.get("limit"), _PAGE_DEFAULT, _PAGE_MAX))
    page = max(1, whole_in(call.query.get("page"), 1, _PAGES_MAX))
    by_symbol = attrgetter("market.symbol")
    answer = []
    for _, group in groupby(
        sorted(await call.world.open_orders(call.account_id), key=by_symbol), by_symbol
    ):
        orders = list(group)
        answer.append(
            {
                "currency_pair": NAMES.name(orders[0].market),
                "total": len(orders),
                "orders": [_order(order) for order in orders[(page - 1) * limit : page * limit]],
            }
        )
    return answer


def _order(order: Order) -> dict[str, Any]:
    status, finish = _STATUS[order.status]
    amount, left = order.amount, order.amount - order.filled
    market_order = order.order_type is OrderType.MARKET
    if market_order and order.side is Side.BUY:
        # Here the amount is money spent, and a market order leaves none behind.
        amount, left = order.filled_quote, Decimal(0)
    average = plain(average_price(order))
    paid_in = received(order.side, order.market)
    return {
        "id": str(order.order_id),
        "text": order.client_order_id or _NO_CLIENT_ID,
        "amend_text": "-",
        "create_time": str(order.created_ms // 1_000),
        "update_time": str(order.updated_ms // 1_000),
        "create_time_ms": order.created_ms,
        "update_time_ms": order.updated_ms,
        "status": status,
        "currency_pair": NAMES.name(order.market),
        "type": order.order_type.value,
        "account": "spot",
        "side": order.side.value,
        "amount": plain(amount),
        "price": "0" if order.price is None else plain(order.price),
        "time_in_force": "ioc" if market_order else _TIME_WORDS[order.time_in_force],
        "iceberg": "0",
        "left": plain(left),
        "filled_amount": plain(order.filled),
        "fill_price": plain(order.filled_quote),
        "filled_total": plain(order.filled_quote),
        "avg_deal_price": average,
        "fee": plain(order.fee),
        "fee_currency": paid_in,
        "point_fee": "0",
        "gt_fee": "0",
        "gt_maker_fee": "0",
        "gt_taker_fee": "0",
        "gt_discount": False,
        "rebated_fee": "0",
        "rebated_fee_currency": paid_in,
        "finish_as": finish,
    }


_HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    **gate_market.HANDLERS,
    **HISTORY_HANDLERS,
    ("GET", "/api/v4/account/detail"): _detail,
    ("GET", "/api/v4/account/main_keys"): _main_keys,
    ("GET", "/api/v4/spot/accounts"): _accounts,
    ("GET", "/api/v4/spot/open_orders"): _open_orders,
    ("GET", "/api/v4/spot/orders"): _orders,
    ("POST", "/api/v4/spot/orders"): _place,
    ("GET", "/api/v4/spot/orders/{order_id}"): _one,
    ("DELETE", "/api/v4/spot/orders/{order_id}"): _cancel,
}


class GateAnswers:
    """What Gate answers when it has nothing to object to."""

    exchange = "gate"

    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        """Return the handlers by method and path."""
        return _HANDLERS

    def render_order_refused(self, rule: str) -> tuple[int, Any]:
        """Return Gate's refusal of an order: its status, a label and a message."""
        status, label, message = _REFUSALS.get(rule, _REFUSALS["bad_number"])
        return status, {"label": label, "message": message}
