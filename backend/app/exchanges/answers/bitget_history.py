"""Bitget's answers about the past and about fees: fills, bills, deposits, fee rates.

Source: https://www.bitget.com/api-doc/spot (Trade, Account), version 2, and .../common/public.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from backend.app.exchanges.answers.asking import moment_in
from backend.app.exchanges.answers.base import Call, Handler
from backend.app.exchanges.answers.bitget_market import NAMES, success
from backend.app.exchanges.answers.past import (
    DEPOSIT_ADDRESS,
    fills_of,
    happened_ms,
    received,
    recent,
    txid,
)
from backend.app.exchanges.answers.rendering import home_chain, json_body, order_id_in, whole_in
from backend.app.exchanges.market_values import Deposit, Fill, LedgerLine, Order
from backend.app.money import plain

_PAGE_DEFAULT: Final = 100
_PAGE_MAX: Final = 500

_Row = TypeVar("_Row")


def page_of(call: Call, rows: Sequence[_Row], at_ms: Callable[[_Row], int]) -> Sequence[_Row]:
    """Return the newest rows asked for between `startTime` and `endTime`, the newest first."""
    return recent(
        rows,
        at_ms,
        start_ms=moment_in(call.query.get("startTime")),
        end_ms=moment_in(call.query.get("endTime")),
        most=whole_in(call.query.get("limit"), _PAGE_DEFAULT, _PAGE_MAX),
    )


async def _fills(call: Call) -> Any:
    market = NAMES.market_or_none(call.world, call.query.get("symbol"))
    order_id = call.query.get("orderId")
    known = await fills_of(call, market, order_id_in(order_id) if order_id else None)
    return success(call, [_fill(fill) for fill in page_of(call, known, happened_ms)])


def _fill(fill: Fill) -> Any:
    coin = received(fill.side, fill.market)
    return {
        "userId": "",
        "symbol": NAMES.name(fill.market),
        "orderId": str(fill.order_id),
        "tradeId": str(fill.fill_id),
        "orderType": "limit",
        "side": str(fill.side),
        "priceAvg": plain(fill.price),
        "size": plain(fill.amount),
        "amount": plain(fill.cost),
        "feeDetail": {"deduction": "no", "feeCoin": coin, "totalFee": plain(-fill.fee)},
        "tradeScope": "maker" if fill.is_maker else "taker",
        "cTime": str(fill.at_ms),
        "uTime": str(fill.at_ms),
    }


async def _bills(call: Call) -> Any:
    lines = await call.world.ledger(call.account_id, call.query.get("coin"))
    rows = page_of(call, lines, lambda line: line.at_ms)
    return success(call, [_bill(line) for line in rows])


def _bill(line: LedgerLine) -> Any:
    trades = "buy" if line.change > 0 else "sell"
    return {
        "cTime": str(line.at_ms),
        "coin": line.asset,
        "groupType": "deposit" if line.fill is None else "transaction",
        "businessType": "DEPOSIT" if line.fill is None else trades.upper(),
        "size": plain(line.change),
        "balance": plain(line.balance),
        "fees": "0",
        "billId": str(line.line_id),
    }


async def _deposits(call: Call) -> Any:
    known = await call.world.deposits(call.account_id, call.query.get("coin"))
    return success(call, [_deposit(deposit) for deposit in page_of(call, known, happened_ms)])


def _deposit(deposit: Deposit) -> Any:
    return {
        "orderId": str(deposit.deposit_id),
        "tradeId": txid(deposit),
        "coin": deposit.asset,
        "clientOid": "",
        "type": "deposit",
        "size": plain(deposit.amount),
        "status": "success",
        "fromAddress": "",
        "toAddress": DEPOSIT_ADDRESS,
        "chain": home_chain(deposit.asset),
        "dest": "on_chain",
        "cTime": str(deposit.at_ms),
        "uTime": str(deposit.at_ms),
    }


def _trade_rate(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("symbol"))
    rates = {"makerFeeRate": plain(market.maker_fee), "takerFeeRate": plain(market.taker_fee)}
    return success(call, rates)


def fee_detail(order: Order) -> str:
    """Return what an order paid: a JSON text within the JSON, where less than nothing is paid."""
    coin, fee = received(order.side, order.market), -order.fee
    fees = {"c": 0, "d": 0, "deduction": False, "r": fee, "t": fee, "totalDeductionFee": 0}
    paid = {"deduction": False, "feeCoinCode": coin, "totalDeductionFee": 0, "totalFee": fee}
    return json_body({"newFees": fees, coin: paid}).decode()


HISTORY_HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", "/api/v2/spot/trade/fills"): _fills,
    ("GET", "/api/v2/spot/account/bills"): _bills,
    ("GET", "/api/v2/spot/account/transferRecords"): lambda call: success(call, []),
    ("GET", "/api/v2/spot/wallet/deposit-records"): _deposits,
    ("GET", "/api/v2/spot/wallet/withdrawal-records"): lambda call: success(call, []),
    ("GET", "/api/v2/common/trade-rate"): _trade_rate,
}
