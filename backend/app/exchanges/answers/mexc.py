"""MEXC's success answers: bare objects and lists with Binance's field names.

Parameters travel in the query, whatever the method.

Source: https://www.mexc.com/api-docs/spot-v3 (Spot Account/Trade, Wallet).
"""

from collections.abc import Mapping
from typing import Any, Final

from backend.app.enums import Known
from backend.app.exchanges.answers import mexc_market
from backend.app.exchanges.answers.asking import (
    moment_in,
    order_asked,
    order_by_client_id,
    order_of,
)
from backend.app.exchanges.answers.base import Call, Handler, OrderRefused
from backend.app.exchanges.answers.mexc_history import HISTORY_HANDLERS
from backend.app.exchanges.answers.mexc_market import NAMES
from backend.app.exchanges.answers.past import created_ms, orders_of, recent
from backend.app.exchanges.answers.rendering import (
    assets,
    days_left,
    home_chain,
    order_id_in,
    whole_in,
)
from backend.app.exchanges.key_information import KeyInformation
from backend.app.exchanges.market_values import (
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    TimeInForce,
)
from backend.app.money import plain

_KEY_CREATED_MS: Final = 1_704_067_200_000
_NO_ORDER_LIST: Final = -1

_STATUS: Final = {
    OrderStatus.OPEN: "NEW",
    OrderStatus.PARTIALLY_FILLED: "PARTIALLY_FILLED",
    OrderStatus.FILLED: "FILLED",
    OrderStatus.CANCELLED: "CANCELED",
}

_TIMES_IN_FORCE: Final = {
    "LIMIT": TimeInForce.GTC,
    "LIMIT_MAKER": TimeInForce.POST_ONLY,
    "IMMEDIATE_OR_CANCEL": TimeInForce.IOC,
    "FILL_OR_KILL": TimeInForce.FOK,
}
_ORDER_TYPES: Final = {time: word for word, time in _TIMES_IN_FORCE.items()}
_ORDERS_DEFAULT: Final = 500
_ORDERS_MAX: Final = 1_000

_UNKNOWN_KEY: Final = "unknown_key"

_REFUSALS: Final = {
    "unknown_symbol": (-1121, "Invalid symbol."),
    "bad_number": (10097, "amount is error"),
    "tick_size": (30010, "no valid trade price"),
    "step_size": (10096, "amount decimal places is too long"),
    "min_amount": (30002, "The minimum transaction volume cannot be less than:the minimum"),
    "min_notional": (30002, "The minimum transaction volume cannot be less than:the minimum"),
    "insufficient_funds": (30004, "Insufficient position"),
    "duplicate_client_order_id": (603, "Repeated request"),
    "too_many_open_orders": (30029, "Cannot exceed the maximum order limit"),
    "order_not_found": (-2011, "Unknown order sent."),
    _UNKNOWN_KEY: (730706, "API KEY information does not exist"),
}


def _api_key_info(call: Call) -> Any:
    if call.query.get("accessKey", call.api_key) != call.api_key:
        raise OrderRefused(_UNKNOWN_KEY)
    information = call.world.key_information(call.account_id)
    answer = {
        "note": "",
        "accessKey": call.api_key,
        "permissions": ",".join(_permissions(information)),
        "status": "VALID",
        "ipWhiteList": ",".join(information.ip_addresses or ()),
        "createTime": _KEY_CREATED_MS,
    }
    days = _remaining_days(information, call.world.now_ms())
    return answer | ({} if days is None else {"remainingValidity": days})


def _permissions(information: KeyInformation) -> list[str]:
    stated = (
        ("SPOT_ACCOUNT_READ", information.can_read),
        ("SPOT_DEAL_READ", information.can_read),
        ("SPOT_DEAL_WRITE", information.can_trade),
        ("SPOT_TRANSFER_READ", information.can_transfer),
        ("SPOT_TRANSFER_WRITE", information.can_transfer),
        ("SPOT_WITHDRAW_READ", information.can_withdraw),
        ("SPOT_WITHDRAW_WRITE", information.can_withdraw),
    )
    return [word for word, known in stated if known is Known.YES]


def _remaining_days(information: KeyInformation, now_ms: int) -> int | None:
    if information.expires_at is None:
        return information.remaining_days
    return days_left(information.expires_at, now_ms)


def _capital_config(call: Call) -> Any:
    return [_coin(asset) for asset in assets(call.world)]


def _coin(asset: str) -> dict[str, Any]:
    network = {
        "coin": asset,
        "depositDesc": None,
        "depositEnable": True,
        "minConfirm": 12,
        "name": asset,
        "network": home_chain(asset),
        "netWork": home_chain(asset),
        "withdrawEnable": True,
        "withdrawFee": "0",
        "withdrawIntegerMultiple": None,
        "withdrawMax": "1000000",
        "withdrawMin": "0.001",
        "sameAddress": False,
        "contract": "",
    }
    return {"coin": asset, "name": asset, "networkList": [network]}


async def _account(call: Call) -> Any:
    # The three words speak of the account, not of the key.
    return {
        "makerCommission": None,
        "takerCommission": None,
        "buyerCommission": None,
        "sellerCommission": None,
        "canTrade": True,
        "canWithdraw": True,
        "canDeposit": True,
        "updateTime": None,
        "accountType": "SPOT",
        "balances": [
            {
                "asset": balance.asset,
                "free": plain(balance.available),
                "locked": plain(balance.locked),
                "available": plain(balance.available),
            }
            for balance in await call.world.balances(call.account_id)
        ],
        "permissions": ["SPOT"],
    }


def _order_in(call: Call) -> OrderRequest:
    order_type = call.query.get("type", "").upper()
    is_market = order_type == "MARKET"
    tif = _TIMES_IN_FORCE.get(order_type)
    return order_asked(
        NAMES.market(call.world, call.query.get("symbol")),
        side=call.query.get("side"),
        order_type="limit" if tif else order_type,
        size=call.query.get("quantity"),
        price=call.query.get("price"),
        funds=call.query.get("quoteOrderQty") if is_market else None,
        client_order_id=call.query.get("newClientOrderId"),
        time_in_force=tif or TimeInForce.GTC,
    )


async def _place(call: Call) -> Any:
    order = await call.world.place(call.account_id, _order_in(call))
    return _short(order) | {
        "orderListId": _NO_ORDER_LIST,
        "clientOrderId": order.client_order_id,
        "transactTime": order.created_ms,
    }


def _try(call: Call) -> Any:
    _order_in(call)
    return {}


async def _cancel(call: Call) -> Any:
    return _order(await call.world.cancel(call.account_id, (await _asked_order(call)).order_id))


async def _one(call: Call) -> Any:
    return _order(await _asked_order(call))


async def _asked_order(call: Call) -> Order:
    market = NAMES.market(call.world, call.query.get("symbol"))
    if "orderId" in call.query:
        return await order_of(call, order_id_in(call.query["orderId"]), market)
    return await order_by_client_id(call, call.query.get("origClientOrderId"), market)


async def _all_orders(call: Call) -> Any:
    rows = recent(
        await orders_of(call, NAMES.market(call.world, call.query.get("symbol"))),
        created_ms,
        start_ms=moment_in(call.query.get("startTime")),
        end_ms=moment_in(call.query.get("endTime")),
        most=whole_in(call.query.get("limit"), _ORDERS_DEFAULT, _ORDERS_MAX),
    )
    return [_order(order) for order in rows]


async def _open_orders(call: Call) -> Any:
    market = NAMES.market_or_none(call.world, call.query.get("symbol"))
    orders = await call.world.open_orders(call.account_id, market.symbol if market else None)
    return [_order(order) for order in orders]


def _short(order: Order) -> dict[str, Any]:
    is_market = order.order_type is OrderType.MARKET
    return {
        "symbol": NAMES.name(order.market),
        "orderId": str(order.order_id),
        "price": "0" if order.price is None else plain(order.price),
        "origQty": plain(order.amount),
        "type": "MARKET" if is_market else _ORDER_TYPES[order.time_in_force],
        "side": order.side.value.upper(),
    }


def _order(order: Order) -> dict[str, Any]:
    spent = order.filled_quote if order.price is None else order.price * order.amount
    return _short(order) | {
        "orderListId": _NO_ORDER_LIST,
        "clientOrderId": order.client_order_id,
        "executedQty": plain(order.filled),
        "cummulativeQuoteQty": plain(order.filled_quote),
        "status": _STATUS[order.status],
        "timeInForce": "GTC" if order.time_in_force is TimeInForce.GTC else None,
        "stopPrice": None,
        "icebergQty": None,
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": True,
        "origQuoteOrderQty": plain(spent),
    }


_HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    **mexc_market.HANDLERS,
    **HISTORY_HANDLERS,
    ("GET", "/api/v3/apiKeyInfo"): _api_key_info,
    ("GET", "/api/v3/capital/config/getall"): _capital_config,
    ("GET", "/api/v3/account"): _account,
    ("GET", "/api/v3/openOrders"): _open_orders,
    ("GET", "/api/v3/allOrders"): _all_orders,
    ("POST", "/api/v3/order"): _place,
    ("POST", "/api/v3/order/test"): _try,
    ("GET", "/api/v3/order"): _one,
    ("DELETE", "/api/v3/order"): _cancel,
}


class MexcAnswers:
    """What MEXC answers when it has nothing to object to."""

    exchange = "mexc"

    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        """Return the handlers by method and path."""
        return _HANDLERS

    def render_order_refused(self, rule: str) -> tuple[int, Any]:
        """Return MEXC's refusal of an order: status 400, a number and a message."""
        code, message = _REFUSALS.get(rule, _REFUSALS["bad_number"])
        return 400, {"code": code, "msg": message}
