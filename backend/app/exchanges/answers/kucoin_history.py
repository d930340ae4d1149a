"""KuCoin's answers about the past and about fees: fills, ledgers, deposits, fee rates.

Source: https://www.kucoin.com/docs-new (Spot Trading: Get Trade History; Account Info).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from backend.app.exchanges.answers.asking import moment_in
from backend.app.exchanges.answers.base import Call, Handler, OrderRefused
from backend.app.exchanges.answers.kucoin_market import NAMES, data
from backend.app.exchanges.answers.past import (
    DEPOSIT_ADDRESS,
    fills_of,
    happened_ms,
    received,
    recent,
    txid,
)
from backend.app.exchanges.answers.rendering import home_chain, order_id_in, whole_in
from backend.app.exchanges.market_values import Deposit, Fill, LedgerLine
from backend.app.money import plain

PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 500
_PAGES_MAX: Final = 10_000
_EVERYTHING: Final = 1_000_000
_FEE_SYMBOLS_MAX: Final = 10

_Row = TypeVar("_Row")


def page_of(call: Call, rows: Sequence[_Row], render: Callable[[_Row], Any]) -> Any:
    """Return one page of rows in KuCoin's form."""
    size = max(1, whole_in(call.query.get("pageSize"), PAGE_DEFAULT, PAGE_MAX))
    page = max(1, whole_in(call.query.get("currentPage"), 1, _PAGES_MAX))
    return data(
        {
            "currentPage": page,
            "pageSize": size,
            "totalNum": len(rows),
            "totalPage": -(-len(rows) // size),
            "items": [render(row) for row in rows[(page - 1) * size : page * size]],
        }
    )


def within(call: Call, rows: Sequence[_Row], at_ms: Callable[[_Row], int]) -> Sequence[_Row]:
    """Return the rows between `startAt` and `endAt`, the newest first."""
    return recent(
        rows,
        at_ms,
        start_ms=moment_in(call.query.get("startAt")),
        end_ms=moment_in(call.query.get("endAt")),
        most=_EVERYTHING,
    )


async def _asked_fills(call: Call) -> Sequence[Fill]:
    market = NAMES.market_or_none(call.world, call.query.get("symbol"))
    order_id = call.query.get("orderId")
    known = await fills_of(call, market, order_id_in(order_id) if order_id else None)
    return within(call, known, happened_ms)


async def _fills(call: Call) -> Any:
    return page_of(call, await _asked_fills(call), _fill)


async def _hf_fills(call: Call) -> Any:
    rows = (await _asked_fills(call))[: whole_in(call.query.get("limit"), 20, 100)]
    last = rows[-1].fill_id if rows else 0
    return data({"items": [_fill(fill) for fill in rows], "lastId": last})


def _fill(fill: Fill) -> Any:
    return {
        "id": fill.fill_id,
        "symbol": NAMES.name(fill.market),
        "tradeId": str(fill.fill_id),
        "orderId": str(fill.order_id),
        "counterOrderId": "0",
        "side": str(fill.side),
        "liquidity": "maker" if fill.is_maker else "taker",
        "forceTaker": not fill.is_maker,
        "price": plain(fill.price),
        "size": plain(fill.amount),
        "funds": plain(fill.cost),
        "fee": plain(fill.fee),
        "feeRate": plain(fill.fee_rate),
        "feeCurrency": received(fill.side, fill.market),
        "stop": "",
        "type": "limit",
        "createdAt": fill.at_ms,
        "tradeType": "TRADE",
    }


async def _asked_lines(call: Call) -> Sequence[LedgerLine]:
    asked = call.query.get("bizType")
    lines = await call.world.ledger(call.account_id, call.query.get("currency"))
    wanted = [line for line in lines if asked in (None, "", _kind(line).upper())]
    return within(call, wanted, lambda line: line.at_ms)


async def _ledgers(call: Call) -> Any:
    return page_of(call, await _asked_lines(call), _line)


async def _hf_ledgers(call: Call) -> Any:
    rows = (await _asked_lines(call))[: whole_in(call.query.get("limit"), 100, 200)]
    return data([_line(line) for line in rows])


def _kind(line: LedgerLine) -> str:
    return "Deposit" if line.fill is None else "Trade_Exchange"


def _line(line: LedgerLine) -> Any:
    context = ""
    if line.fill is not None:
        context = json.dumps(
            {
                "symbol": NAMES.name(line.fill.market),
                "orderId": str(line.fill.order_id),
                "tradeId": str(line.fill.fill_id),
            }
        )
    return {
        "id": str(line.line_id),
        "currency": line.asset,
        "amount": plain(abs(line.change)),
        "fee": "0",
        "balance": plain(line.balance),
        "accountType": "TRADE",
        "bizType": _kind(line),
        "direction": "in" if line.change > 0 else "out",
        "createdAt": line.at_ms,
        "context": context,
    }


async def _deposits(call: Call) -> Any:
    known = await call.world.deposits(call.account_id, call.query.get("currency"))
    return page_of(call, within(call, known, happened_ms), _deposit)


def _deposit(deposit: Deposit) -> Any:
    return {
        "currency": deposit.asset,
        "chain": home_chain(deposit.asset).lower(),
        "status": "SUCCESS",
        "address": DEPOSIT_ADDRESS,
        "memo": "",
        "isInner": False,
        "amount": plain(deposit.amount),
        "fee": "0",
        "walletTxId": txid(deposit),
        "createdAt": deposit.at_ms,
        "updatedAt": deposit.at_ms,
        "remark": "",
        "arrears": False,
    }


def _none(call: Call) -> Any:
    nothing: tuple[Deposit, ...] = ()
    return page_of(call, nothing, _deposit)


def _fee_rates(call: Call) -> Any:
    names = call.query.get("symbols", "").split(",")
    if len(names) > _FEE_SYMBOLS_MAX:
        raise OrderRefused("bad_number")
    markets = [NAMES.market(call.world, name) for name in names]
    return data(
        [
            {
                "symbol": NAMES.name(market),
                "takerFeeRate": plain(market.taker_fee),
                "makerFeeRate": plain(market.maker_fee),
            }
            for market in markets
        ]
    )


HISTORY_HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", "/api/v1/fills"): _fills,
    ("GET", "/api/v1/hf/fills"): _hf_fills,
    ("GET", "/api/v1/accounts/ledgers"): _ledgers,
    ("GET", "/api/v1/hf/accounts/ledgers"): _hf_ledgers,
    ("GET", "/api/v1/deposits"): _deposits,
    ("GET", "/api/v1/withdrawals"): _none,
    ("GET", "/api/v1/trade-fees"): _fee_rates,
}
