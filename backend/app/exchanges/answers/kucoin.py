"""KuCoin's success answers: `{"code":"200000","data":…}`, classic and high-frequency order paths.

Every account here is a classic one. The high-frequency paths are other doors to the same account.

Source: https://www.kucoin.com/docs-new (Spot Trading, Account Info).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from backend.app.enums import Known
from backend.app.exchanges.answers import kucoin_market
from backend.app.exchanges.answers.asking import (
    cancel,
    fields_of,
    order_asked,
    order_by_client_id,
    order_of,
    time_in_force_in,
)
from backend.app.exchanges.answers.base import Call, Handler, OrderRefused
from backend.app.exchanges.answers.kucoin_history import HISTORY_HANDLERS, page_of, within
from backend.app.exchanges.answers.kucoin_market import NAMES, data
from backend.app.exchanges.answers.past import closed_orders_of, created_ms, received
from backend.app.exchanges.answers.rendering import order_id_in, whole_in
from backend.app.exchanges.key_information import KeyInformation
from backend.app.exchanges.market_values import (
    Market,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    TimeInForce,
)
from backend.app.money import plain

_KEY_CREATED_MS: Final = 1_704_067_200_000
_HF_DEFAULT: Final = 20
_HF_MAX: Final = 100
_TIMES_IN_FORCE: Final = {
    "gtc": TimeInForce.GTC,
    "ioc": TimeInForce.IOC,
    "fok": TimeInForce.FOK,
}

_REFUSALS: Final = {
    "unknown_symbol": ("400100", "Unsupported trading pair."),
    "bad_number": ("400100", "Parameter error."),
    "tick_size": ("400100", "Price increment invalid."),
    "step_size": ("600100", "Order size increment invalid."),
    "min_amount": ("400100", "Order size below the minimum requirement."),
    "min_notional": ("600101", "The order funds are below the minimum requirement."),
    "insufficient_funds": ("200004", "Balance insufficient!"),
    "duplicate_client_order_id": ("126044", "clientOid duplicate"),
    "too_many_open_orders": ("300000", "The number of active orders has reached its limit."),
    "order_not_found": ("400100", "order_not_exist_or_not_allow_to_cancel"),
}


def _account_mode(_: Call) -> Any:
    return data({"selfAccountMode": "CLASSIC"})


def _hf_opened(_: Call) -> Any:
    return data(value=False)


async def _accounts(call: Call) -> Any:
    kind = call.query.get("type") or "trade"
    currency = call.query.get("currency")
    # All money is in the trading account, whichever name the caller has for it.
    held = await call.world.balances(call.account_id) if kind in ("trade", "trade_hf") else ()
    rows = [
        {
            "id": f"{number:024x}",
            "currency": balance.asset,
            "type": kind,
            "balance": plain(balance.total),
            "available": plain(balance.available),
            "holds": plain(balance.locked),
        }
        for number, balance in enumerate(held, start=1)
        if currency in (None, "", balance.asset)
    ]
    return data(rows)


def _api_key(call: Call) -> Any:
    information = call.world.key_information(call.account_id)
    sub_account = information.is_sub_account is Known.YES
    answer = {
        "uid": int(information.owner_uid or 0),
        "subName": "sub" if sub_account else "",
        "remark": "",
        "apiKey": call.api_key,
        "apiVersion": 2,
        "permission": ",".join(_permissions(information)),
        "isMaster": not sub_account,
        "createdAt": _KEY_CREATED_MS,
    }
    addresses = ",".join(information.ip_addresses or ())
    return data(answer | ({"ipWhitelist": addresses} if addresses else {}))


def _permissions(information: KeyInformation) -> list[str]:
    stated = (
        ("General", information.can_read),
        ("Spot", information.can_trade),
        ("InnerTransfer", information.can_transfer),
        ("Transfer", information.can_withdraw),
    )
    return [word for word, known in stated if known is Known.YES]


# Orders


def _order_in(call: Call) -> OrderRequest:
    body = fields_of(call.json)
    tif = time_in_force_in(_TIMES_IN_FORCE, body.get("timeInForce"))
    return order_asked(
        NAMES.market(call.world, body.get("symbol")),
        side=body.get("side"),
        order_type=body.get("type") or "limit",
        size=body.get("size"),
        price=body.get("price"),
        funds=body.get("funds"),
        client_order_id=body.get("clientOid"),
        time_in_force=TimeInForce.POST_ONLY if body.get("postOnly") is True else tif,
    )


async def _place(call: Call) -> Any:
    order = await call.world.place(call.account_id, _order_in(call))
    return data({"orderId": str(order.order_id)})


async def _hf_place(call: Call) -> Any:
    order = await call.world.place(call.account_id, _order_in(call))
    return data({"orderId": str(order.order_id), "clientOid": order.client_order_id})


def _try(call: Call) -> Any:
    asked = _order_in(call)
    return data({"orderId": "0", "clientOid": asked.client_order_id})


async def _cancel(call: Call) -> Any:
    order = await cancel(call, order_id_in(call.path["order_id"]), None)
    return data({"cancelledOrderIds": [str(order.order_id)]})


async def _hf_cancel(call: Call) -> Any:
    order = await cancel(call, order_id_in(call.path["order_id"]), _asked_market(call))
    return data({"orderId": str(order.order_id)})


async def _one(call: Call) -> Any:
    return data(_order(await order_of(call, order_id_in(call.path["order_id"]), None)))


async def _hf_one(call: Call) -> Any:
    return data(
        _hf_order(await order_of(call, order_id_in(call.path["order_id"]), _asked_market(call)))
    )


async def _by_client_id(call: Call) -> Any:
    return data(_order(await order_by_client_id(call, call.path["client_id"])))


async def _hf_by_client_id(call: Call) -> Any:
    named = await order_by_client_id(call, call.path["client_id"], _asked_market(call))
    return data(_hf_order(named))


async def _orders(call: Call) -> Any:
    status = call.query.get("status", "active")
    if status not in ("active", "done"):
        raise OrderRefused("bad_number")
    if status == "active":
        return page_of(call, await _caller_orders(call), _order)
    closed = await closed_orders_of(call, _asked_market(call))
    return page_of(call, within(call, closed, created_ms), _order)


async def _hf_done_orders(call: Call) -> Any:
    closed = within(call, await closed_orders_of(call, _asked_market(call)), created_ms)
    rows = closed[: whole_in(call.query.get("limit"), _HF_DEFAULT, _HF_MAX)]
    last = rows[-1].order_id if rows else 0
    return data({"lastId": last, "items": [_hf_order(order) for order in rows]})


async def _hf_open_orders(call: Call) -> Any:
    return data([_hf_order(order) for order in await _caller_orders(call)])


async def _hf_symbols(call: Call) -> Any:
    return data(
        {"symbols": sorted({NAMES.name(order.market) for order in await _caller_orders(call)})}
    )


async def _caller_orders(call: Call) -> Sequence[Order]:
    market = _asked_market(call)
    return await call.world.open_orders(call.account_id, market.symbol if market else None)


def _asked_market(call: Call) -> Market | None:
    return NAMES.market_or_none(call.world, call.query.get("symbol"))


def _order(order: Order) -> dict[str, Any]:
    """Render an order as the classic paths do."""
    return _order_fields(order) | {"isActive": order.is_open}


def _hf_order(order: Order) -> dict[str, Any]:
    """Render an order as the high-frequency paths do."""
    left = order.amount - order.filled
    cancelled = order.status is OrderStatus.CANCELLED
    return _order_fields(order) | {
        "active": order.is_open,
        "inOrderBook": order.is_open,
        "cancelledSize": plain(left) if cancelled else "0",
        "remainSize": "0" if cancelled else plain(left),
        "lastUpdatedAt": order.updated_ms,
    }


def _order_fields(order: Order) -> dict[str, Any]:
    rests_only = order.time_in_force is TimeInForce.POST_ONLY
    return {
        "id": str(order.order_id),
        "clientOid": order.client_order_id,
        "symbol": NAMES.name(order.market),
        "opType": "DEAL",
        "type": order.order_type.value,
        "side": order.side.value,
        "price": "0" if order.price is None else plain(order.price),
        "size": plain(order.amount),
        "funds": plain(order.filled_quote) if order.order_type is OrderType.MARKET else "0",
        "dealSize": plain(order.filled),
        "dealFunds": plain(order.filled_quote),
        "fee": plain(order.fee),
        "feeCurrency": received(order.side, order.market),
        "stp": None,
        "timeInForce": "GTC" if rests_only else order.time_in_force.upper(),
        "postOnly": rests_only,
        "hidden": False,
        "iceberg": False,
        "visibleSize": "0",
        "cancelAfter": 0,
        "channel": "API",
        "remark": None,
        "tags": None,
        "cancelExist": order.status is OrderStatus.CANCELLED,
        "createdAt": order.created_ms,
        "tradeType": "TRADE",
    }


_HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    **kucoin_market.HANDLERS,
    **HISTORY_HANDLERS,
    ("GET", "/api/ua/v1/account/mode"): _account_mode,
    ("GET", "/api/v1/hf/accounts/opened"): _hf_opened,
    ("GET", "/api/v1/user/api-key"): _api_key,
    ("GET", "/api/v1/accounts"): _accounts,
    ("GET", "/api/v1/orders"): _orders,
    ("GET", "/api/v1/order/client-order/{client_id}"): _by_client_id,
    ("POST", "/api/v1/orders"): _place,
    ("POST", "/api/v1/orders/test"): _try,
    ("GET", "/api/v1/orders/{order_id}"): _one,
    ("DELETE", "/api/v1/orders/{order_id}"): _cancel,
    ("GET", "/api/v1/hf/orders/active"): _hf_open_orders,
    ("GET", "/api/v1/hf/orders/active/symbols"): _hf_symbols,
    ("GET", "/api/v1/hf/orders/done"): _hf_done_orders,
    ("GET", "/api/v1/hf/orders/client-order/{client_id}"): _hf_by_client_id,
    ("POST", "/api/v1/hf/orders"): _hf_place,
    ("POST", "/api/v1/hf/orders/test"): _try,
    ("GET", "/api/v1/hf/orders/{order_id}"): _hf_one,
    ("DELETE", "/api/v1/hf/orders/{order_id}"): _hf_cancel,
}


class KucoinAnswers:
    """What KuCoin answers when it has nothing to object to."""

    exchange = "kucoin"

    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        """Return the handlers by method and path."""
        return _HANDLERS

    def render_order_refused(self, rule: str) -> tuple[int, Any]:
        """Return KuCoin's refusal of an order: status 200 and a code that is not 200000."""
        code, message = _REFUSALS.get(rule, _REFUSALS["bad_number"])
        return 200, {"code": code, "msg": message}
