"""MEXC's answers about the past and about fees: fills, deposits and what trading costs.

Source: https://www.mexc.com/api-docs/spot-v3 (Spot Account/Trade, Wallet).
"""

from collections.abc import Mapping
from typing import Any, Final

from backend.app.exchanges.answers.asking import moment_in
from backend.app.exchanges.answers.base import Call, Handler
from backend.app.exchanges.answers.mexc_market import NAMES
from backend.app.exchanges.answers.past import (
    DEPOSIT_ADDRESS,
    fills_of,
    happened_ms,
    received,
    recent,
    txid,
)
from backend.app.exchanges.answers.rendering import home_chain, order_id_in, whole_in
from backend.app.exchanges.market_values import Deposit, Fill, Side
from backend.app.money import plain

_FILLS_MAX: Final = 100
_DEPOSITS_MAX: Final = 1_000
_DEPOSIT_SUCCEEDED: Final = 5


async def _fills(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("symbol"))
    order_id = call.query.get("orderId")
    rows = recent(
        await fills_of(call, market, order_id_in(order_id) if order_id else None),
        happened_ms,
        start_ms=moment_in(call.query.get("startTime")),
        end_ms=moment_in(call.query.get("endTime")),
        most=whole_in(call.query.get("limit"), _FILLS_MAX, _FILLS_MAX),
    )
    return [_fill(fill) for fill in rows]


def _fill(fill: Fill) -> Any:
    return {
        "symbol": NAMES.name(fill.market),
        "id": str(fill.fill_id),
        "orderId": str(fill.order_id),
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
        "isSelfTrade": False,
        "clientOrderId": None,
    }


async def _deposits(call: Call) -> Any:
    rows = recent(
        await call.world.deposits(call.account_id, call.query.get("coin")),
        happened_ms,
        start_ms=moment_in(call.query.get("startTime")),
        end_ms=moment_in(call.query.get("endTime")),
        most=whole_in(call.query.get("limit"), _DEPOSITS_MAX, _DEPOSITS_MAX),
    )
    return [_deposit(deposit) for deposit in rows]


def _deposit(deposit: Deposit) -> Any:
    return {
        "amount": plain(deposit.amount),
        "coin": deposit.asset,
        "network": home_chain(deposit.asset),
        "status": _DEPOSIT_SUCCEEDED,
        "address": DEPOSIT_ADDRESS,
        "txId": txid(deposit),
        "insertTime": deposit.at_ms,
        "unlockConfirm": "1",
        "confirmTimes": "1",
        "memo": None,
    }


def _trade_fee(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("symbol"))
    # MEXC's fees are bare numbers.
    return {
        "data": {"makerCommission": market.maker_fee, "takerCommission": market.taker_fee},
        "code": 0,
        "msg": "success",
        "timestamp": call.world.now_ms(),
    }


HISTORY_HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", "/api/v3/myTrades"): _fills,
    ("GET", "/api/v3/tradeFee"): _trade_fee,
    ("GET", "/api/v3/capital/deposit/hisrec"): _deposits,
    ("GET", "/api/v3/capital/withdraw/history"): lambda _: [],
    ("GET", "/api/v3/capital/transfer"): lambda _: {"rows": [], "total": 0},
}
