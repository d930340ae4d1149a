"""Binance's answers about the past and about fees: fills, deposits and what trading costs.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/account-endpoints and
https://developers.binance.com/docs/wallet/capital
"""

from collections.abc import Mapping
from typing import Any, Final

from backend.app.exchanges.answers.asking import moment_in
from backend.app.exchanges.answers.base import Call, Handler
from backend.app.exchanges.answers.binance_market import NAMES
from backend.app.exchanges.answers.past import (
    DEPOSIT_ADDRESS,
    fills_of,
    happened_ms,
    received,
    recent,
    txid,
)
from backend.app.exchanges.answers.rendering import home_chain, order_id_in, whole_in
from backend.app.exchanges.market_values import Deposit, Fill, Market, Side
from backend.app.money import plain

_DEPOSIT_SUCCEEDED: Final = 1
_SPOT_WALLET: Final = 0


async def _fills(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("symbol"))
    order_id = call.query.get("orderId")
    rows = recent(
        await fills_of(call, market, order_id_in(order_id) if order_id else None),
        happened_ms,
        start_ms=moment_in(call.query.get("startTime")),
        end_ms=moment_in(call.query.get("endTime")),
        most=whole_in(call.query.get("limit"), 500, 1000),
    )
    return [_fill(fill) for fill in reversed(rows)]


def _fill(fill: Fill) -> Any:
    return {
        "symbol": NAMES.name(fill.market),
        "id": fill.fill_id,
        "orderId": fill.order_id,
        "orderListId": -1,
        "price": plain(fill.price),
        "qty": plain(fill.amount),
        "quoteQty": plain(fill.cost),
        "commission": plain(fill.fee),
        "commissionAsset": received(fill.side, fill.market),
        "time": fill.at_ms,
        "isBuyer": fill.side is Side.BUY,
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


async def _deposits(call: Call) -> Any:
    rows = recent(
        await call.world.deposits(call.account_id, call.query.get("coin")),
        happened_ms,
        start_ms=moment_in(call.query.get("startTime")),
        end_ms=moment_in(call.query.get("endTime")),
        most=whole_in(call.query.get("limit"), 1000, 1000),
    )
    return [_deposit(deposit) for deposit in rows]


def _deposit(deposit: Deposit) -> Any:
    return {
        "id": str(deposit.deposit_id),
        "amount": plain(deposit.amount),
        "coin": deposit.asset,
        "network": home_chain(deposit.asset),
        "status": _DEPOSIT_SUCCEEDED,
        "address": DEPOSIT_ADDRESS,
        "addressTag": "",
        "txId": txid(deposit),
        "insertTime": deposit.at_ms,
        "completeTime": deposit.at_ms,
        "transferType": 0,
        "confirmTimes": "1/1",
        "unlockConfirm": 1,
        "walletType": _SPOT_WALLET,
    }


def _trade_fees(call: Call) -> Any:
    one = NAMES.market_or_none(call.world, call.query.get("symbol"))
    return [_trade_fee(market) for market in ([one] if one else call.world.markets())]


def _trade_fee(market: Market) -> Any:
    return {
        "symbol": NAMES.name(market),
        "makerCommission": plain(market.maker_fee),
        "takerCommission": plain(market.taker_fee),
    }


HISTORY_HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", "/api/v3/myTrades"): _fills,
    ("GET", "/sapi/v1/capital/deposit/hisrec"): _deposits,
    ("GET", "/sapi/v1/capital/withdraw/history"): lambda _: [],
    ("GET", "/sapi/v1/asset/transfer"): lambda _: {"total": 0, "rows": []},
    ("GET", "/sapi/v1/asset/tradeFee"): _trade_fees,
}
