"""Which calls of CCXT tell an account's open orders, page by page, and where that ends.

Like the balance calls, these are implicit methods: one method, one request, no markets loaded.

Source: docs/ARCHITECTURE.md, "The eight exchanges".
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from backend.app.exchanges.asking import Ask, digits, htx_spot_account, member
from backend.app.exchanges.raw_answer import RawAnswer

PAGES_MAX: Final = 10
"""Of one list; what lies beyond is left out, and that is said."""
KUCOIN_MARKETS_MAX: Final = 20
_OKX_PAGE: Final = 100
_BYBIT_PAGE: Final = 50
_HTX_PAGE: Final = 500
_KUCOIN_PAGE: Final = 500
_GATE_PAGE: Final = 100
_BITGET_PAGE: Final = 100
# What follows goes into the query of the next call, so nothing that ends a parameter may be in it.
_CURSOR: Final = re.compile(r"[A-Za-z0-9%_:,.\-]{1,512}", re.ASCII)
_INSTRUMENT: Final = re.compile(r"[A-Za-z0-9\-]{1,40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class OrdersTold:
    """The answers, and whether they hold all there is."""

    answers: list[RawAnswer]
    is_complete: bool = True


OrderPlan = Callable[[Ask], Awaitable[OrdersTold]]
"""Makes the calls for the open orders."""
Following = Callable[[Any, int], Mapping[str, str] | None]
"""Tells what asks for the page after this one, which is the n-th; None where it is the last."""


def paged(method: str, following: Following, **params: str) -> OrderPlan:
    """Return a plan that asks for page after page."""

    async def plan(ask: Ask) -> OrdersTold:
        answers: list[RawAnswer] = []
        step: Mapping[str, str] = {}
        for number in range(1, PAGES_MAX + 1):
            answer = await ask(method, **params, **step)
            answers.append(answer)
            next_step = following(answer.value, number) if answer.accepted else None
            # A page that leads to itself is the last one, too.
            if next_step is None or next_step == step:
                return OrdersTold(answers)
            step = next_step
        return OrdersTold(answers, is_complete=False)

    return plan


def _last(_value: Any, _number: int) -> None:
    """Follow nothing: the exchange answers all at once."""


def _after_last(path: tuple[str, ...], page: int, name: str, id_name: str) -> Following:
    def following(value: Any, _number: int) -> Mapping[str, str] | None:
        rows = member(value, *path)
        if not isinstance(rows, list) or len(rows) < page:
            return None
        last_id = digits(member(rows[-1], id_name))
        return None if last_id is None else {name: last_id}

    return following


def _bybit_cursor(value: Any, _number: int) -> Mapping[str, str] | None:
    rows, cursor = member(value, "result", "list"), member(value, "result", "nextPageCursor")
    if not isinstance(rows, list) or len(rows) < _BYBIT_PAGE:
        return None
    return {"cursor": cursor} if isinstance(cursor, str) and _CURSOR.fullmatch(cursor) else None


def _kucoin_page(value: Any, number: int) -> Mapping[str, str] | None:
    last = digits(member(value, "data", "totalPage"))
    return {"currentPage": str(number + 1)} if last is not None and number < int(last) else None


def _gate_page(value: Any, number: int) -> Mapping[str, str] | None:
    totals = [digits(member(pair, "total")) for pair in value] if isinstance(value, list) else []
    most = max((int(total) for total in totals if total is not None), default=0)
    return {"page": str(number + 1)} if most > number * _GATE_PAGE else None


async def _htx(ask: Ask) -> OrdersTold:
    accounts = await ask("spotPrivateGetV1AccountAccounts")
    account_id = htx_spot_account(accounts.value)
    if account_id is None:
        return OrdersTold([accounts])

    def following(value: Any, number: int) -> Mapping[str, str] | None:
        older = _after_last(("data",), _HTX_PAGE, "from", "id")(value, number)
        return None if older is None else {**older, "direct": "next"}

    of_account = {"account-id": account_id, "size": str(_HTX_PAGE)}
    told = await paged("spotPrivateGetV1OrderOpenOrders", following, **of_account)(ask)
    return OrdersTold([accounts, *told.answers], told.is_complete)


async def _kucoin(ask: Ask) -> OrdersTold:
    # The older list is empty for an account on the newer engine, which tells market by market.
    older = await paged(
        "privateGetOrders",
        _kucoin_page,
        status="active",
        tradeType="TRADE",
        pageSize=str(_KUCOIN_PAGE),
    )(ask)
    if not older.answers[-1].accepted:
        return older
    symbols = await ask("privateGetHfOrdersActiveSymbols", tradeType="TRADE")
    told = member(symbols.value, "data", "symbols")
    names = [n for n in told if _named(n)] if isinstance(told, list) else []
    asked = names[:KUCOIN_MARKETS_MAX]
    newer = [await ask("privateGetHfOrdersActive", symbol=name) for name in asked]
    is_complete = older.is_complete and (told is None or len(asked) == len(told))
    return OrdersTold([*older.answers, symbols, *newer], is_complete)


def _named(value: Any) -> bool:
    return isinstance(value, str) and _INSTRUMENT.fullmatch(value) is not None


BINANCE: Final = paged("privateGetOpenOrders", _last)
OKX: Final = paged(
    "privateGetTradeOrdersPending",
    _after_last(("data",), _OKX_PAGE, "after", "ordId"),
    instType="SPOT",
    limit=str(_OKX_PAGE),
)
BYBIT: Final = paged(
    "privateGetV5OrderRealtime", _bybit_cursor, category="spot", limit=str(_BYBIT_PAGE)
)
HTX: Final = _htx
KUCOIN: Final = _kucoin
GATE: Final = paged("privateSpotGetOpenOrders", _gate_page, account="spot", limit=str(_GATE_PAGE))
BITGET: Final = paged(
    "privateSpotGetV2SpotTradeUnfilledOrders",
    _after_last(("data",), _BITGET_PAGE, "idLessThan", "orderId"),
    limit=str(_BITGET_PAGE),
)
MEXC: Final = paged("spotPrivateGetOpenOrders", _last)
