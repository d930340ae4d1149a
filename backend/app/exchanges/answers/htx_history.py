"""HTX's answers about the past and about fees: fills, deposits, transfers in, fee rates.

The version 2 ledger tells only of money moved between accounts; trades are not in it.

Source: https://www.htx.com/en-us/opend/newApiPages/ (Trading, Wallet, Account)
"""

from collections.abc import Mapping
from typing import Any, Final

from backend.app.exchanges.answers.asking import moment_in
from backend.app.exchanges.answers.base import Call, Handler, OrderRefused
from backend.app.exchanges.answers.htx_market import NAMES, chain_name, succeeded
from backend.app.exchanges.answers.past import (
    DEPOSIT_ADDRESS,
    fills_of,
    happened_ms,
    received,
    recent,
    txid,
)
from backend.app.exchanges.answers.rendering import order_id_in, whole_in
from backend.app.exchanges.market_values import Deposit, Fill, LedgerLine
from backend.app.money import plain

_PAGE_DEFAULT: Final = 100
_PAGE_MAX: Final = 500
_FEE_SYMBOLS_MAX: Final = 10


async def _fills(call: Call) -> Any:
    market = NAMES.market_or_none(call.world, call.query.get("symbol"))
    rows = recent(
        await fills_of(call, market),
        happened_ms,
        start_ms=moment_in(call.query.get("start-time")),
        end_ms=moment_in(call.query.get("end-time")),
        most=whole_in(call.query.get("size"), _PAGE_DEFAULT, _PAGE_MAX),
    )
    return {"status": "ok", "data": [_fill(fill) for fill in rows]}


async def _fills_of_order(call: Call) -> Any:
    fills = await fills_of(call, None, order_id_in(call.path["order_id"]))
    return {"status": "ok", "data": [_fill(fill) for fill in reversed(fills)]}


def _fill(fill: Fill) -> Any:
    return {
        "id": fill.fill_id,
        "trade-id": fill.fill_id,
        "match-id": fill.fill_id,
        "order-id": fill.order_id,
        "symbol": NAMES.name(fill.market),
        "type": f"{fill.side}-limit",
        "price": plain(fill.price),
        "filled-amount": plain(fill.amount),
        "filled-fees": plain(fill.fee),
        "filled-points": "0",
        "fee-currency": received(fill.side, fill.market).lower(),
        "fee-deduct-currency": "",
        "fee-deduct-state": "done",
        "role": "maker" if fill.is_maker else "taker",
        "source": "spot-api",
        "created-at": fill.at_ms,
    }


async def _ledger(call: Call) -> Any:
    asked = call.query.get("currency")
    lines = await call.world.ledger(call.account_id, asked.upper() if asked else None)
    rows = recent(
        (line for line in lines if line.fill is None),
        lambda line: line.at_ms,
        start_ms=moment_in(call.query.get("startTime")),
        end_ms=moment_in(call.query.get("endTime")),
        most=whole_in(call.query.get("limit"), _PAGE_DEFAULT, _PAGE_MAX),
    )
    account_id = int(call.world.key_information(call.account_id).owner_uid or 0)
    return succeeded([_line(line, account_id) for line in rows])


def _line(line: LedgerLine, account_id: int) -> Any:
    return {
        "accountId": account_id,
        "currency": line.asset.lower(),
        "transactAmt": line.change,
        "transactType": "transfer",
        "transferType": "otc-to-pro",
        "transactId": line.line_id,
        "transactTime": line.at_ms,
        "transferer": 0,
        "transferee": account_id,
    }


async def _deposits_or_withdrawals(call: Call) -> Any:
    if call.query.get("type") not in ("deposit", "withdraw"):
        raise OrderRefused("bad_number")
    asked = call.query.get("currency")
    known = await call.world.deposits(call.account_id, asked.upper() if asked else None)
    rows = recent(
        known if call.query["type"] == "deposit" else (),
        happened_ms,
        start_ms=None,
        end_ms=None,
        most=whole_in(call.query.get("size"), _PAGE_DEFAULT, _PAGE_MAX),
    )
    return {"status": "ok", "data": [_deposit(deposit) for deposit in rows]}


def _deposit(deposit: Deposit) -> Any:
    return {
        "id": deposit.deposit_id,
        "type": "deposit",
        "sub-type": "NORMAL",
        "currency": deposit.asset.lower(),
        "chain": chain_name(deposit.asset),
        "tx-hash": txid(deposit),
        "amount": deposit.amount,
        "address": DEPOSIT_ADDRESS,
        "address-tag": "",
        "fee": 0,
        "state": "safe",
        "created-at": deposit.at_ms,
        "updated-at": deposit.at_ms,
    }


def _fee_rates(call: Call) -> Any:
    names = call.query.get("symbols", "").split(",")
    if len(names) > _FEE_SYMBOLS_MAX:
        raise OrderRefused("bad_number")
    markets = [NAMES.market(call.world, name) for name in names]
    return succeeded(
        [
            {
                "symbol": NAMES.name(market),
                "makerFeeRate": plain(market.maker_fee),
                "takerFeeRate": plain(market.taker_fee),
                "actualMakerRate": plain(market.maker_fee),
                "actualTakerRate": plain(market.taker_fee),
            }
            for market in markets
        ]
    )


HISTORY_HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", "/v1/order/matchresults"): _fills,
    ("GET", "/v1/order/orders/{order_id}/matchresults"): _fills_of_order,
    ("GET", "/v2/account/ledger"): _ledger,
    ("GET", "/v5/account/universal_transfer_records"): lambda _: succeeded([]),
    ("GET", "/v1/query/deposit-withdraw"): _deposits_or_withdrawals,
    ("GET", "/v2/reference/transact-fee-rate"): _fee_rates,
}
