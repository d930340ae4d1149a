"""Binance's answers: bare objects and lists, amounts as text, times in milliseconds.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Final

from backend.app.enums import Known
from backend.app.exchanges.answers.asking import (
    moment_in,
    order_asked,
    order_by_client_id,
    order_of,
    time_in_force_in,
)
from backend.app.exchanges.answers.base import Call, Handler
from backend.app.exchanges.answers.binance_history import HISTORY_HANDLERS
from backend.app.exchanges.answers.binance_market import NAMES, PUBLIC_HANDLERS
from backend.app.exchanges.answers.past import created_ms, orders_of, received, recent
from backend.app.exchanges.answers.rendering import (
    DAY_MS,
    assets,
    average_price,
    home_chain,
    order_id_in,
    whole_in,
)
from backend.app.exchanges.market_values import (
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    TimeInForce,
)
from backend.app.money import plain

_STATUSES: Final = {
    OrderStatus.OPEN: "NEW",
    OrderStatus.PARTIALLY_FILLED: "PARTIALLY_FILLED",
    OrderStatus.FILLED: "FILLED",
    OrderStatus.CANCELLED: "CANCELED",
}
_REFUSALS: Final[Mapping[str, tuple[int, str]]] = {
    "unknown_symbol": (-1121, "Invalid symbol."),
    "bad_number": (-1100, "Illegal characters found in a parameter."),
    "tick_size": (-1013, "Filter failure: PRICE_FILTER"),
    "step_size": (-1013, "Filter failure: LOT_SIZE"),
    "min_amount": (-1013, "Filter failure: LOT_SIZE"),
    "min_notional": (-1013, "Filter failure: NOTIONAL"),
    "insufficient_funds": (-2010, "Account has insufficient balance for requested action."),
    "duplicate_client_order_id": (-2010, "Duplicate order sent."),
    "too_many_open_orders": (-1013, "Filter failure: MAX_NUM_ORDERS"),
    "order_not_found": (-2013, "Order does not exist."),
    "would_trade": (-2010, "Order would immediately match and take."),
}
_TIMES_IN_FORCE: Final = {
    "gtc": TimeInForce.GTC,
    "ioc": TimeInForce.IOC,
    "fok": TimeInForce.FOK,
}
_AT_ONCE: Final = (TimeInForce.IOC, TimeInForce.FOK)
_LIMIT_MAKER: Final = "LIMIT_MAKER"
_ORDERS_DEFAULT: Final = 500
_ORDERS_MAX: Final = 1_000
_ORDER_LIST_ID: Final = -1
_BASIS_POINTS: Final = 10_000


class BinanceAnswers:
    """What Binance answers when all is well."""

    exchange: ClassVar[str] = "binance"

    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        """Return the handlers by method and path."""
        return {
            **PUBLIC_HANDLERS,
            **HISTORY_HANDLERS,
            ("GET", "/api/v3/account"): _account,
            ("GET", "/api/v3/openOrders"): _open_orders,
            ("GET", "/api/v3/allOrders"): _all_orders,
            ("GET", "/api/v3/order"): _one_order,
            ("POST", "/api/v3/order"): _place,
            ("POST", "/api/v3/order/test"): _test_order,
            ("DELETE", "/api/v3/order"): _cancel,
            ("GET", "/sapi/v1/capital/config/getall"): _coins,
            ("GET", "/sapi/v1/margin/allPairs"): lambda _: [],
            ("GET", "/sapi/v1/margin/isolated/allPairs"): lambda _: [],
            ("GET", "/sapi/v1/account/apiRestrictions"): _restrictions,
        }

    def render_order_refused(self, rule: str) -> tuple[int, Any]:
        """Return status and body of Binance's refusal of an order."""
        code, words = _REFUSALS[rule]
        return 400, {"code": code, "msg": words}


async def _account(call: Call) -> Any:
    # Every market here takes the same.
    market = call.world.markets()[0]
    return {
        "makerCommission": int(market.maker_fee * _BASIS_POINTS),
        "takerCommission": int(market.taker_fee * _BASIS_POINTS),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": plain(market.maker_fee),
            "taker": plain(market.taker_fee),
            "buyer": "0",
            "seller": "0",
        },
        "canTrade": True,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": call.world.now_ms(),
        "accountType": "SPOT",
        "balances": [
            {
                "asset": balance.asset,
                "free": plain(balance.available),
                "locked": plain(balance.locked),
            }
            for balance in await call.world.balances(call.account_id)
        ],
        "permissions": ["SPOT"],
        "uid": int(call.world.key_information(call.account_id).owner_uid or 0),
    }


async def _open_orders(call: Call) -> Any:
    one = NAMES.market_or_none(call.world, call.query.get("symbol"))
    orders = await call.world.open_orders(call.account_id, one.symbol if one else None)
    return [_order(order) for order in orders]


async def _all_orders(call: Call) -> Any:
    rows = recent(
        await orders_of(call, NAMES.market(call.world, call.query.get("symbol"))),
        created_ms,
        start_ms=moment_in(call.query.get("startTime")),
        end_ms=moment_in(call.query.get("endTime")),
        most=whole_in(call.query.get("limit"), _ORDERS_DEFAULT, _ORDERS_MAX),
    )
    return [_order(order) for order in reversed(rows)]


async def _asked_order(call: Call) -> Order:
    # What is deleted may be named in the form, too.
    asked = {**call.query, **call.form}
    market = NAMES.market(call.world, asked.get("symbol"))
    if "orderId" in asked:
        return await order_of(call, order_id_in(asked["orderId"]), market)
    return await order_by_client_id(call, asked.get("origClientOrderId"), market)


def _order(order: Order) -> Any:
    return {
        **acknowledged(order),
        "stopPrice": "0",
        "icebergQty": "0",
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": True,
    }


def _status(order: Order) -> str:
    # What the engine takes back by itself has expired; only its owner cancels an order.
    by_engine = order.order_type is OrderType.MARKET or order.time_in_force in _AT_ONCE
    if order.status is OrderStatus.CANCELLED and by_engine:
        return "EXPIRED"
    return _STATUSES[order.status]


def acknowledged(order: Order) -> dict[str, Any]:
    """Return what every answer about an order tells."""
    rests_only = order.time_in_force is TimeInForce.POST_ONLY
    return {
        "symbol": NAMES.name(order.market),
        "orderId": order.order_id,
        "orderListId": _ORDER_LIST_ID,
        "clientOrderId": order.client_order_id or f"sandbox{order.order_id}",
        "price": plain(order.price or Decimal(0)),
        "origQty": plain(order.amount),
        "executedQty": plain(order.filled),
        "origQuoteOrderQty": "0",
        "cummulativeQuoteQty": plain(order.filled_quote),
        "status": _status(order),
        "timeInForce": "GTC" if rests_only else order.time_in_force.upper(),
        "type": _LIMIT_MAKER if rests_only else order.order_type.upper(),
        "side": order.side.upper(),
        "workingTime": order.created_ms,
        "selfTradePreventionMode": "NONE",
    }


def _asked(call: Call) -> OrderRequest:
    asked = {**call.query, **call.form}
    rests_only = asked.get("type") == _LIMIT_MAKER
    tif = time_in_force_in(_TIMES_IN_FORCE, asked.get("timeInForce"))
    return order_asked(
        NAMES.market(call.world, asked.get("symbol")),
        side=asked.get("side"),
        order_type="limit" if rests_only else asked.get("type"),
        size=asked.get("quantity"),
        price=asked.get("price"),
        funds=asked.get("quoteOrderQty"),
        client_order_id=asked.get("newClientOrderId"),
        time_in_force=TimeInForce.POST_ONLY if rests_only else tif,
        refuse_forbidden=rests_only,
    )


async def _one_order(call: Call) -> Any:
    return _order(await _asked_order(call))


async def _place(call: Call) -> Any:
    order = await call.world.place(call.account_id, _asked(call))
    placed = {**acknowledged(order), "transactTime": order.updated_ms, "fills": []}
    if order.filled:
        fill = {
            "price": plain(average_price(order)),
            "qty": plain(order.filled),
            "commission": plain(order.fee),
            "commissionAsset": received(order.side, order.market),
            "tradeId": order.order_id,
        }
        placed["fills"] = [fill]
    return placed


def _test_order(call: Call) -> Any:
    _asked(call)
    return {}


async def _cancel(call: Call) -> Any:
    order = await call.world.cancel(call.account_id, (await _asked_order(call)).order_id)
    return {
        **acknowledged(order),
        "origClientOrderId": order.client_order_id,
        "transactTime": order.updated_ms,
    }


async def _coins(call: Call) -> Any:
    held = {balance.asset: balance for balance in await call.world.balances(call.account_id)}
    return [
        {
            "coin": asset,
            "name": asset,
            "depositAllEnable": False,
            "withdrawAllEnable": False,
            "free": plain(held[asset].available) if asset in held else "0",
            "locked": plain(held[asset].locked) if asset in held else "0",
            "freeze": "0",
            "withdrawing": "0",
            "ipoing": "0",
            "ipoable": "0",
            "storage": "0",
            "isLegalMoney": False,
            "trading": True,
            "networkList": [_network(asset)],
        }
        for asset in assets(call.world)
    ]


def _network(asset: str) -> Any:
    return {
        "network": home_chain(asset),
        "coin": asset,
        "name": home_chain(asset),
        "isDefault": True,
        "depositEnable": False,
        "withdrawEnable": False,
        "withdrawFee": "0",
        "withdrawMin": "0.0001",
        "withdrawMax": "1000000",
        "withdrawIntegerMultiple": "0.00000001",
        "minConfirm": 1,
        "unLockConfirm": 0,
        "sameAddress": False,
        "busy": False,
    }


def _restrictions(call: Call) -> Any:
    told = call.world.key_information(call.account_id)
    answer = {
        "ipRestrict": told.ip_restricted is Known.YES,
        "createTime": call.world.now_ms() - DAY_MS,
        "enableReading": told.can_read is Known.YES,
        "enableSpotAndMarginTrading": told.can_trade is Known.YES,
        "enableWithdrawals": told.can_withdraw is Known.YES,
        "enableInternalTransfer": told.can_transfer is Known.YES,
        "permitsUniversalTransfer": told.can_transfer is Known.YES,
        "enableMargin": False,
        "enableFutures": False,
        "enableVanillaOptions": False,
        "enablePortfolioMarginTrading": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
    }
    if told.expires_at is not None:
        answer["tradingAuthorityExpirationTime"] = int(told.expires_at.timestamp() * 1000)
    return answer
