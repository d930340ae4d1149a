"""Page after page of open orders: where it goes on, where it ends, and what is never sent."""

from collections.abc import Callable
from typing import Any

import pytest

from backend.app.exchanges import order_calls
from backend.app.exchanges.order_calls import KUCOIN_MARKETS_MAX, PAGES_MAX, OrderPlan
from backend.app.exchanges.raw_answer import RawAnswer

Asked = list[dict[str, str]]


class Exchange:
    """Answers the n-th question with what `tells` makes of it, and remembers what was asked."""

    def __init__(self, tells: Callable[[str, int], Any]) -> None:
        self.asked: Asked = []
        self._tells = tells

    async def __call__(self, method: str, **params: str) -> RawAnswer:
        self.asked.append({"method": method, **params})
        return RawAnswer(200, "", self._tells(method, len(self.asked)))


def rows(name: str, count: int, last: Any) -> list[dict[str, Any]]:
    return [{name: 1}] * (count - 1) + [{name: last}]


def okx(last: Any, count: int = 100) -> Any:
    return {"code": "0", "data": rows("ordId", count, last)}


def bitget(last: Any, count: int = 100) -> Any:
    return {"code": "00000", "data": rows("orderId", count, last)}


def bybit(cursor: Any, count: int = 50) -> Any:
    return {"retCode": 0, "result": {"list": [{}] * count, "nextPageCursor": cursor}}


PAGED: list[tuple[OrderPlan, Callable[[Any], Any], str]] = [
    (order_calls.OKX, okx, "after"),
    (order_calls.BITGET, bitget, "idLessThan"),
    (order_calls.BYBIT, bybit, "cursor"),
]


@pytest.mark.parametrize(("plan", "page", "name"), PAGED)
async def test_a_full_page_leads_to_the_next_until_one_is_not_full(
    plan: OrderPlan, page: Callable[..., Any], name: str
) -> None:
    exchange = Exchange(lambda _, number: page(str(number), *(() if number < 3 else (7,))))

    told = await plan(exchange)

    assert [asked.get(name) for asked in exchange.asked] == [None, "1", "2"]
    assert (len(told.answers), told.is_complete) == (3, True)


@pytest.mark.parametrize(("plan", "page", "name"), PAGED)
async def test_pages_without_end_are_cut_off_and_that_is_said(
    plan: OrderPlan, page: Callable[..., Any], name: str
) -> None:
    exchange = Exchange(lambda _, number: page(str(number)))

    told = await plan(exchange)

    assert (len(told.answers), told.is_complete) == (PAGES_MAX, False)


@pytest.mark.parametrize(("plan", "page", "name"), PAGED)
async def test_a_page_that_leads_to_itself_is_the_last(
    plan: OrderPlan, page: Callable[..., Any], name: str
) -> None:
    exchange = Exchange(lambda _method, _number: page("77"))

    assert (await plan(exchange)).is_complete
    assert len(exchange.asked) == 2


@pytest.mark.parametrize(("plan", "page", "name"), PAGED)
@pytest.mark.parametrize(
    "hostile", ["1&side=buy", "1#", "1 2", "\u0661", "", None, True, -1, 10**30, [], {"a": 1}]
)
async def test_what_could_change_the_next_request_is_not_followed(
    plan: OrderPlan, page: Callable[..., Any], name: str, hostile: Any
) -> None:
    exchange = Exchange(lambda _method, _number: page(hostile))

    await plan(exchange)

    assert len(exchange.asked) == 1


@pytest.mark.parametrize("plan", [order_calls.BINANCE, order_calls.MEXC])
async def test_what_comes_all_at_once_takes_one_request(plan: OrderPlan) -> None:
    exchange = Exchange(lambda _method, _number: [{}] * 700)

    assert (await plan(exchange)).is_complete
    assert len(exchange.asked) == 1


async def test_gate_goes_on_while_one_pair_has_more() -> None:
    exchange = Exchange(lambda _method, _number: [{"total": 101}, {"total": 5}])

    told = await order_calls.GATE(exchange)

    assert [asked.get("page") for asked in exchange.asked] == [None, "2"]
    assert told.is_complete


async def test_htx_asks_for_the_spot_account_alone() -> None:
    accounts = {"data": [{"id": 5, "type": "margin"}, {"id": 6, "type": "spot"}]}
    exchange = Exchange(lambda _, number: accounts if number == 1 else {"data": []})

    await order_calls.HTX(exchange)

    assert [asked.get("account-id") for asked in exchange.asked] == [None, "6"]


async def test_htx_without_a_spot_account_is_asked_no_further() -> None:
    exchange = Exchange(lambda _method, _number: {"status": "error"})

    await order_calls.HTX(exchange)

    assert len(exchange.asked) == 1


@pytest.mark.parametrize(
    ("symbols", "asked", "is_complete"),
    [
        ([], [], True),
        (["BTC-USDT", "ETH-USDT"], ["BTC-USDT", "ETH-USDT"], True),
        (["BTC-USDT&side=buy", 7, "ETH-USDT"], ["ETH-USDT"], False),
        (
            [f"A{n}-USDT" for n in range(30)],
            [f"A{n}-USDT" for n in range(KUCOIN_MARKETS_MAX)],
            False,
        ),
    ],
)
async def test_kucoins_newer_engine_is_asked_market_by_market(
    symbols: list[Any], asked: list[str], is_complete: bool
) -> None:
    def tells(method: str, _number: int) -> Any:
        return {"data": {"symbols": symbols} if method.endswith("Symbols") else {"items": None}}

    exchange = Exchange(tells)

    told = await order_calls.KUCOIN(exchange)

    assert [one["symbol"] for one in exchange.asked if "symbol" in one] == asked
    assert told.is_complete is is_complete
