"""Gate's answers about the past and about fees: fills, the account book, deposits, fee rates.

Source: https://www.gate.com/docs/developers/apiv4 (Spot, Wallet).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from backend.app.exchanges.answers.asking import moment_in
from backend.app.exchanges.answers.base import Call, Handler
from backend.app.exchanges.answers.gate_market import NAMES
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

_SECOND_MS: Final = 1_000
_EVERYTHING: Final = 1_000_000
_PAGE_DEFAULT: Final = 100
_PAGE_MAX: Final = 1_000
_PAGES_MAX: Final = 10_000
_FREE: Final = (
    "gt_taker_fee",
    "gt_maker_fee",
    "futures_taker_fee",
    "futures_maker_fee",
    "delivery_taker_fee",
    "delivery_maker_fee",
)

_Row = TypeVar("_Row")


def page_of(call: Call, rows: Sequence[_Row], at_ms: Callable[[_Row], int]) -> Sequence[_Row]:
    """Return the page asked for of the rows between `from` and `to`, the newest first."""
    end_ms = moment_in(call.query.get("to"), _SECOND_MS)
    wanted = recent(
        rows,
        at_ms,
        start_ms=moment_in(call.query.get("from"), _SECOND_MS),
        # A second is whole: what happened within it is in it.
        end_ms=None if end_ms is None else end_ms + _SECOND_MS - 1,
        most=_EVERYTHING,
    )
    limit = max(1, whole_in(call.query.get("limit"), _PAGE_DEFAULT, _PAGE_MAX))
    page = max(1, whole_in(call.query.get("page"), 1, _PAGES_MAX))
    return wanted[(page - 1) * limit : page * limit]


async def _fills(call: Call) -> Any:
    market = NAMES.market_or_none(call.world, call.query.get("currency_pair"))
    order_id = call.query.get("order_id")
    known = await fills_of(call, market, order_id_in(order_id) if order_id else None)
    return [_fill(fill) for fill in page_of(call, known, happened_ms)]


def _fill(fill: Fill) -> Any:
    return {
        "id": str(fill.fill_id),
        "create_time": str(fill.at_ms // _SECOND_MS),
        "create_time_ms": f"{fill.at_ms}.000000",
        "currency_pair": NAMES.name(fill.market),
        "side": str(fill.side),
        "role": "maker" if fill.is_maker else "taker",
        "amount": plain(fill.amount),
        "price": plain(fill.price),
        "order_id": str(fill.order_id),
        "fee": plain(fill.fee),
        "fee_currency": received(fill.side, fill.market),
        "point_fee": "0",
        "gt_fee": "0",
        "amend_text": "-",
        "sequence_id": str(fill.fill_id),
        "text": "-",
    }


async def _account_book(call: Call) -> Any:
    asked = call.query.get("type")
    lines = await call.world.ledger(call.account_id, call.query.get("currency"))
    wanted = [line for line in lines if asked in (None, "", _kind(line))]
    return [_line(line) for line in page_of(call, wanted, lambda line: line.at_ms)]


def _kind(line: LedgerLine) -> str:
    return "deposit" if line.fill is None else "order_fill"


def _line(line: LedgerLine) -> Any:
    return {
        "id": str(line.line_id),
        "time": line.at_ms,
        "currency": line.asset,
        "change": plain(line.change),
        "balance": plain(line.balance),
        "type": _kind(line),
        "text": "" if line.fill is None else str(line.fill.order_id),
    }


async def _deposits(call: Call) -> Any:
    known = await call.world.deposits(call.account_id, call.query.get("currency"))
    return [_deposit(deposit) for deposit in page_of(call, known, happened_ms)]


def _deposit(deposit: Deposit) -> Any:
    return {
        "id": f"d{deposit.deposit_id}",
        "timestamp": str(deposit.at_ms // _SECOND_MS),
        "currency": deposit.asset,
        "address": DEPOSIT_ADDRESS,
        "memo": "",
        "txid": txid(deposit),
        "amount": plain(deposit.amount),
        "status": "DONE",
        "chain": home_chain(deposit.asset),
    }


def _fees(call: Call) -> Any:
    user_id = int(call.world.key_information(call.account_id).owner_uid or 0)
    # Every market here takes the same.
    market = call.world.markets()[0]
    return {
        "user_id": user_id,
        "taker_fee": plain(market.taker_fee),
        "maker_fee": plain(market.maker_fee),
        **dict.fromkeys(_FREE, "0"),
        "gt_discount": False,
        "loan_fee": "0.18",
        "point_type": "1",
    }


HISTORY_HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", "/api/v4/spot/my_trades"): _fills,
    ("GET", "/api/v4/spot/account_book"): _account_book,
    ("GET", "/api/v4/spot/fee"): _fees,
    ("GET", "/api/v4/wallet/fee"): _fees,
    ("GET", "/api/v4/wallet/deposits"): _deposits,
    ("GET", "/api/v4/wallet/withdrawals"): lambda _: [],
}
