"""Bitget's success answers. Every account here is a classic one, not a unified one.

Source: https://www.bitget.com/api-doc/spot (Account, Trade), version 2.
"""

from collections.abc import Mapping
from typing import Any, Final

from backend.app.enums import Known
from backend.app.exchanges.answers import bitget_market
from backend.app.exchanges.answers.asking import (
    cancel,
    fields_of,
    order_asked,
    order_by_client_id,
    order_of,
    time_in_force_in,
)
from backend.app.exchanges.answers.base import Call, Handler, OrderRefused
from backend.app.exchanges.answers.bitget_history import HISTORY_HANDLERS, fee_detail, page_of
from backend.app.exchanges.answers.bitget_market import NAMES, success
from backend.app.exchanges.answers.past import closed_orders_of, created_ms
from backend.app.exchanges.answers.rendering import average_price, order_id_in
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

_TIMES_IN_FORCE: Final = {time.value: time for time in TimeInForce}
_KEY_CREATED_MS: Final = 1_704_067_200_000
_MAIN_ACCOUNT_UID: Final = 100_000_001

_STATUS: Final = {
    OrderStatus.OPEN: "live",
    OrderStatus.PARTIALLY_FILLED: "partially_filled",
    OrderStatus.FILLED: "filled",
    OrderStatus.CANCELLED: "cancelled",
}

_CLASSIC_ACCOUNT: Final = "classic_account"
_CLASSIC_ACCOUNT_TEXT: Final = (
    "You are in Classic Account mode, and the Unified Account API is not supported at this time"
)

_REFUSALS: Final = {
    "unknown_symbol": ("40034", "Parameter symbol does not exist"),
    "bad_number": ("40017", "Parameter verification failed"),
    "tick_size": ("41103", "param price scale error error"),
    "step_size": ("40808", "Parameter verification exception size checkBDScale error"),
    "min_amount": ("45110", "less than the minimum amount"),
    "min_notional": ("45110", "less than the minimum amount"),
    "insufficient_funds": ("43012", "Insufficient balance"),
    "duplicate_client_order_id": ("40786", "Duplicate clientOid"),
    "too_many_open_orders": ("45113", "Maximum order limit triggered"),
    "order_not_found": ("43001", "The order does not exist"),
    _CLASSIC_ACCOUNT: (
        "40084",
        _CLASSIC_ACCOUNT_TEXT,
    ),
}


def _unified_only(_: Call) -> Any:
    # How a client learns which kind of account it has.
    raise OrderRefused(_CLASSIC_ACCOUNT)


def _account_info(call: Call) -> Any:
    information = call.world.key_information(call.account_id)
    user_id = information.owner_uid or "0"
    sub_account = information.is_sub_account is Known.YES
    answer = {
        "userId": user_id,
        "inviterId": "",
        "channelCode": "",
        "channel": "",
        "ips": ",".join(information.ip_addresses or ()),
        "authorities": _authorities(information),
        "parentId": _MAIN_ACCOUNT_UID if sub_account else int(user_id),
        "traderType": "not_trader",
        "regisTime": str(_KEY_CREATED_MS),
    }
    return success(call, answer)


def _authorities(information: KeyInformation) -> list[str]:
    stated = (
        ("stor", information.can_read),
        ("stow", information.can_trade),
        ("wtow", information.can_transfer),
        ("wwow", information.can_withdraw),
    )
    return [code for code, known in stated if known is Known.YES]


async def _assets(call: Call) -> Any:
    coin = call.query.get("coin")
    rows = [
        {
            "coin": balance.asset,
            "available": plain(balance.available),
            "limitAvailable": "0",
            "frozen": plain(balance.locked),
            "locked": "0",
            "uTime": str(call.world.now_ms()),
        }
        for balance in await call.world.balances(call.account_id)
        if coin in (None, "", balance.asset)
    ]
    return success(call, rows)


async def _place(call: Call) -> Any:
    return _acknowledged(call, await call.world.place(call.account_id, _order_in(call)))


def _order_in(call: Call) -> OrderRequest:
    body = fields_of(call.json)
    order_type = str(body.get("orderType")).lower()
    # The size of a market buy is what it may spend.
    spends = order_type == "market" and str(body.get("side")).lower() == "buy"
    return order_asked(
        NAMES.market(call.world, body.get("symbol")),
        side=body.get("side"),
        order_type=order_type,
        price=body.get("price"),
        size=None if spends else body.get("size"),
        funds=body.get("size") if spends else None,
        client_order_id=body.get("clientOid"),
        time_in_force=time_in_force_in(_TIMES_IN_FORCE, body.get("force")),
    )


async def _cancel(call: Call) -> Any:
    body = fields_of(call.json)
    market = NAMES.market(call.world, body.get("symbol"))
    if body.get("orderId"):
        return _acknowledged(call, await cancel(call, order_id_in(body["orderId"]), market))
    named = await order_by_client_id(call, body.get("clientOid"), market)
    return _acknowledged(call, await cancel(call, named.order_id, market))


def _acknowledged(call: Call, order: Order) -> Any:
    return success(call, {"orderId": str(order.order_id), "clientOid": order.client_order_id})


async def _one(call: Call) -> Any:
    if call.query.get("orderId"):
        order = await order_of(call, order_id_in(call.query["orderId"]), None)
    else:
        order = await order_by_client_id(call, call.query.get("clientOid"))
    return success(call, [_told(order)])


async def _history(call: Call) -> Any:
    market = NAMES.market_or_none(call.world, call.query.get("symbol"))
    closed = await closed_orders_of(call, market)
    return success(call, [_told(order) for order in page_of(call, closed, created_ms)])


def _told(order: Order) -> dict[str, Any]:
    average = plain(average_price(order))
    return _order(order) | {
        "price": "0" if order.price is None else plain(order.price),
        "priceAvg": average,
        "baseCoin": order.market.base,
        "quoteCoin": order.market.quote,
        # Empty while nothing is filled.
        "feeDetail": fee_detail(order) if order.filled else "",
        "cancelReason": "normal_cancel" if order.status is OrderStatus.CANCELLED else "",
    }


async def _unfilled_orders(call: Call) -> Any:
    market = NAMES.market_or_none(call.world, call.query.get("symbol"))
    resting = await call.world.open_orders(call.account_id, market.symbol if market else None)
    # In this list alone `priceAvg` is the limit price and `basePrice` the average.
    rows = [
        _order(order)
        | {
            "priceAvg": "0" if order.price is None else plain(order.price),
            "basePrice": plain(average_price(order)),
        }
        for order in page_of(call, resting, created_ms)
    ]
    return success(call, rows)


def _order(order: Order) -> dict[str, Any]:
    spent = order.order_type is OrderType.MARKET and order.side is Side.BUY
    return {
        "userId": "",
        "symbol": NAMES.name(order.market),
        "orderId": str(order.order_id),
        "clientOid": order.client_order_id,
        "size": plain(order.filled_quote if spent else order.amount),
        "orderType": order.order_type.value,
        "side": order.side.value,
        "status": _STATUS[order.status],
        "baseVolume": plain(order.filled),
        "quoteVolume": plain(order.filled_quote),
        "enterPointSource": "API",
        "orderSource": "normal" if order.order_type is OrderType.LIMIT else "market",
        "triggerPrice": None,
        "tpslType": "normal",
        "cTime": str(order.created_ms),
        "uTime": str(order.updated_ms),
    }


_HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    **bitget_market.HANDLERS,
    **HISTORY_HANDLERS,
    ("GET", "/api/v3/account/settings"): _unified_only,
    ("GET", "/api/v3/account/info"): _unified_only,
    ("GET", "/api/v2/spot/account/info"): _account_info,
    ("GET", "/api/v2/spot/account/assets"): _assets,
    ("GET", "/api/v2/spot/trade/unfilled-orders"): _unfilled_orders,
    ("GET", "/api/v2/spot/trade/history-orders"): _history,
    ("GET", "/api/v2/spot/trade/orderInfo"): _one,
    ("POST", "/api/v2/spot/trade/place-order"): _place,
    ("POST", "/api/v2/spot/trade/cancel-order"): _cancel,
}


class BitgetAnswers:
    """What Bitget answers when it has nothing to object to."""

    exchange = "bitget"

    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        """Return the handlers by method and path."""
        return _HANDLERS

    def render_order_refused(self, rule: str) -> tuple[int, Any]:
        """Return Bitget's refusal of an order: status 400 and a code of its own."""
        code, message = _REFUSALS.get(rule, _REFUSALS["bad_number"])
        return 400, {"code": code, "msg": message, "requestTime": 0, "data": None}
