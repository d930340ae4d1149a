"""Bybit's answers about the past and about fees: fills, the account's log, deposits, fee rates.

Source: https://bybit-exchange.github.io/docs/v5/order/execution and .../account/transaction-log
"""

from collections.abc import Mapping
from typing import Any, Final

from backend.app.exchanges.answers.asking import moment_in
from backend.app.exchanges.answers.base import Call, Handler
from backend.app.exchanges.answers.bybit_market import NAMES, SPOT, answered, is_spot
from backend.app.exchanges.answers.past import (
    DEPOSIT_ADDRESS,
    fills_of,
    happened_ms,
    received,
    recent,
    txid,
)
from backend.app.exchanges.answers.rendering import home_chain, order_id_in, whole_in
from backend.app.exchanges.market_values import Deposit, Fill, LedgerLine, Market
from backend.app.money import plain

_PAGE_DEFAULT: Final = 50
_PAGE_MAX: Final = 100
_DEPOSIT_SUCCEEDED: Final = 3


async def _fills(call: Call) -> Any:
    market = NAMES.market_or_none(call.world, call.query.get("symbol"))
    order_id = call.query.get("orderId")
    known = await fills_of(call, market, order_id_in(order_id) if order_id else None)
    rows = recent(
        known if is_spot(call) else (),
        happened_ms,
        start_ms=moment_in(call.query.get("startTime")),
        end_ms=moment_in(call.query.get("endTime")),
        most=whole_in(call.query.get("limit"), _PAGE_DEFAULT, _PAGE_MAX),
    )
    category = call.query.get("category", SPOT)
    listed = {"category": category, "list": [_fill(fill) for fill in rows], "nextPageCursor": ""}
    return answered(call, listed)


def _fill(fill: Fill) -> Any:
    return {
        "symbol": NAMES.name(fill.market),
        "orderId": str(fill.order_id),
        "orderLinkId": "",
        "side": fill.side.capitalize(),
        "execId": str(fill.fill_id),
        "execPrice": plain(fill.price),
        "execQty": plain(fill.amount),
        "execValue": plain(fill.cost),
        "execType": "Trade",
        "execTime": str(fill.at_ms),
        "execFee": plain(fill.fee),
        "feeRate": plain(fill.fee_rate),
        "feeCurrency": received(fill.side, fill.market),
        "isMaker": fill.is_maker,
        "isLeverage": "0",
    }


async def _log(call: Call) -> Any:
    rows = recent(
        await call.world.ledger(call.account_id, call.query.get("currency")),
        lambda line: line.at_ms,
        start_ms=moment_in(call.query.get("startTime")),
        end_ms=moment_in(call.query.get("endTime")),
        most=whole_in(call.query.get("limit"), _PAGE_DEFAULT, _PAGE_DEFAULT),
    )
    return answered(call, {"list": [_line(line) for line in rows], "nextPageCursor": ""})


def _line(line: LedgerLine) -> Any:
    fill = line.fill
    return {
        "id": str(line.line_id),
        "symbol": NAMES.name(fill.market) if fill else "",
        "category": SPOT if fill else "",
        "side": fill.side.capitalize() if fill else "None",
        "transactionTime": str(line.at_ms),
        "type": "TRADE" if fill else "TRANSFER_IN",
        "qty": plain(abs(line.change)),
        "currency": line.asset,
        "tradePrice": plain(fill.price) if fill else "",
        "funding": "",
        "fee": "0",
        "cashFlow": plain(line.change),
        "change": plain(line.change),
        "cashBalance": plain(line.balance),
        "feeRate": "0",
        "bonusChange": "",
        "tradeId": str(fill.fill_id) if fill else "",
        "orderId": str(fill.order_id) if fill else "",
        "orderLinkId": "",
    }


async def _deposits(call: Call) -> Any:
    rows = recent(
        await call.world.deposits(call.account_id, call.query.get("coin")),
        happened_ms,
        start_ms=moment_in(call.query.get("startTime")),
        end_ms=moment_in(call.query.get("endTime")),
        most=whole_in(call.query.get("limit"), _PAGE_DEFAULT, _PAGE_DEFAULT),
    )
    return answered(call, {"rows": [_deposit(row) for row in rows], "nextPageCursor": ""})


def _deposit(deposit: Deposit) -> Any:
    return {
        "id": str(deposit.deposit_id),
        "coin": deposit.asset,
        "chain": home_chain(deposit.asset),
        "amount": plain(deposit.amount),
        "txID": txid(deposit),
        "status": _DEPOSIT_SUCCEEDED,
        "toAddress": DEPOSIT_ADDRESS,
        "tag": "",
        "depositFee": "0",
        "successAt": str(deposit.at_ms),
        "confirmations": "1",
        "txIndex": "0",
        "blockHash": "",
    }


def _no_rows(call: Call) -> Any:
    return answered(call, {"rows": [], "nextPageCursor": ""})


def _no_list(call: Call) -> Any:
    return answered(call, {"list": [], "nextPageCursor": ""})


def _fee_rates(call: Call) -> Any:
    one = NAMES.market_or_none(call.world, call.query.get("symbol"))
    markets = [one] if one else call.world.markets()
    rows = [_fee_rate(market) for market in markets if is_spot(call)]
    return answered(call, {"category": call.query.get("category", SPOT), "list": rows})


def _fee_rate(market: Market) -> Any:
    return {
        "symbol": NAMES.name(market),
        "takerFeeRate": plain(market.taker_fee),
        "makerFeeRate": plain(market.maker_fee),
    }


HISTORY_HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", "/v5/execution/list"): _fills,
    ("GET", "/v5/account/transaction-log"): _log,
    ("GET", "/v5/account/fee-rate"): _fee_rates,
    ("GET", "/v5/asset/deposit/query-record"): _deposits,
    ("GET", "/v5/asset/withdraw/query-record"): _no_rows,
    ("GET", "/v5/asset/transfer/query-inter-transfer-list"): _no_list,
}
