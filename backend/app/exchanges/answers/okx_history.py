"""OKX's answers about the past and about fees: fills, bills, deposits and what trading costs.

Source: https://www.okx.com/docs-v5/en/ (Order Book Trading, Trading Account, Funding Account)
"""

from collections.abc import Mapping
from typing import Any, Final

from backend.app.exchanges.answers.asking import moment_in
from backend.app.exchanges.answers.base import Call, Handler
from backend.app.exchanges.answers.okx_market import NAMES, answered
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

_PAGE_MAX: Final = 100
_DEPOSIT_SUCCEEDED: Final = "2"
_TRANSFER: Final = ("1", "11")
_TRADE: Final = ("2", "1")


async def _fills(call: Call) -> Any:
    market = NAMES.market_or_none(call.world, call.query.get("instId"))
    order_id = call.query.get("ordId")
    rows = recent(
        await fills_of(call, market, order_id_in(order_id) if order_id else None),
        happened_ms,
        start_ms=moment_in(call.query.get("begin")),
        end_ms=moment_in(call.query.get("end")),
        most=whole_in(call.query.get("limit"), _PAGE_MAX, _PAGE_MAX),
    )
    return answered([_fill(fill) for fill in rows])


def _fill(fill: Fill) -> Any:
    return {
        "instType": "SPOT",
        "instId": NAMES.name(fill.market),
        "tradeId": str(fill.fill_id),
        "ordId": str(fill.order_id),
        "clOrdId": "",
        "billId": str(fill.fill_id),
        "tag": "",
        "fillPx": plain(fill.price),
        "fillSz": plain(fill.amount),
        "side": str(fill.side),
        "posSide": "net",
        "execType": "M" if fill.is_maker else "T",
        "fee": plain(-fill.fee),
        "feeCcy": received(fill.side, fill.market),
        "ts": str(fill.at_ms),
        "fillTime": str(fill.at_ms),
    }


async def _bills(call: Call) -> Any:
    wanted = call.query.get("type")
    rows = recent(
        await call.world.ledger(call.account_id, call.query.get("ccy")),
        lambda line: line.at_ms,
        start_ms=moment_in(call.query.get("begin")),
        end_ms=moment_in(call.query.get("end")),
        most=whole_in(call.query.get("limit"), _PAGE_MAX, _PAGE_MAX),
    )
    return answered([_bill(line) for line in rows if wanted in (None, "", _kind(line)[0])])


def _kind(line: LedgerLine) -> tuple[str, str]:
    return _TRANSFER if line.fill is None else _TRADE


def _bill(line: LedgerLine) -> Any:
    kind, detail = _kind(line)
    fill = line.fill
    return {
        "billId": str(line.line_id),
        "ccy": line.asset,
        "type": kind,
        "subType": detail,
        "balChg": plain(line.change),
        "bal": plain(line.balance),
        "sz": plain(abs(line.change)),
        "instType": "SPOT" if fill else "",
        "instId": NAMES.name(fill.market) if fill else "",
        "ordId": str(fill.order_id) if fill else "",
        "tradeId": str(fill.fill_id) if fill else "",
        "execType": "" if fill is None else "M" if fill.is_maker else "T",
        "fee": "0",
        "from": "" if fill else "6",
        "to": "" if fill else "18",
        "notes": "",
        "ts": str(line.at_ms),
    }


async def _deposits(call: Call) -> Any:
    rows = recent(
        await call.world.deposits(call.account_id, call.query.get("ccy")),
        happened_ms,
        start_ms=moment_in(call.query.get("before")),
        end_ms=moment_in(call.query.get("after")),
        most=whole_in(call.query.get("limit"), _PAGE_MAX, _PAGE_MAX),
    )
    return answered([_deposit(deposit) for deposit in rows])


def _deposit(deposit: Deposit) -> Any:
    return {
        "depId": str(deposit.deposit_id),
        "ccy": deposit.asset,
        "chain": f"{deposit.asset}-{home_chain(deposit.asset)}",
        "amt": plain(deposit.amount),
        "from": "",
        "to": DEPOSIT_ADDRESS,
        "txId": txid(deposit),
        "ts": str(deposit.at_ms),
        "state": _DEPOSIT_SUCCEEDED,
        "actualDepBlkConfirm": "1",
        "fromWdId": "",
    }


def _trade_fee(call: Call) -> Any:
    # Every market here takes the same; what one pays is less than nothing.
    market = call.world.markets()[0]
    fee = {
        "category": "1",
        "instType": "SPOT",
        "level": "Lv1",
        "maker": plain(-market.maker_fee),
        "taker": plain(-market.taker_fee),
        "makerU": "",
        "takerU": "",
        "ts": str(call.world.now_ms()),
    }
    return answered([fee])


HISTORY_HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", "/api/v5/trade/fills"): _fills,
    ("GET", "/api/v5/trade/fills-history"): _fills,
    ("GET", "/api/v5/account/bills"): _bills,
    ("GET", "/api/v5/account/bills-archive"): _bills,
    ("GET", "/api/v5/account/trade-fee"): _trade_fee,
    ("GET", "/api/v5/asset/deposit-history"): _deposits,
    ("GET", "/api/v5/asset/withdrawal-history"): lambda _: answered([]),
}
