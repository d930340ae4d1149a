"""Open orders as each of the eight tells them, and what is no such answer."""

import contextlib
import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.exchanges.dialects.base import NotTheExchange
from backend.app.exchanges.key_information import OpenOrder
from backend.app.exchanges.registry import SUPPORTED, dialect
from backend.tests.support.dialects import hostile_bodies

AT_MS = 1_790_000_000_123
AT = datetime.fromtimestamp(AT_MS // 1000, UTC).replace(microsecond=123_000)

Row = dict[str, Any]


def binance(*rows: Row) -> list[Any]:
    return [list(rows)]


def okx(*rows: Row) -> list[Any]:
    return [{"code": "0", "msg": "", "data": list(rows)}]


def bybit(*rows: Row) -> list[Any]:
    return [{"retCode": 0, "retMsg": "OK", "result": {"list": list(rows), "nextPageCursor": ""}}]


def htx(*rows: Row) -> list[Any]:
    accounts = {"status": "ok", "data": [{"id": 7, "type": "spot", "state": "working"}]}
    return [accounts, {"status": "ok", "data": list(rows)}]


def kucoin(*rows: Row) -> list[Any]:
    page = {"currentPage": 1, "pageSize": 500, "totalNum": 0, "totalPage": 0, "items": None}
    symbols = {"code": "200000", "data": {"symbols": sorted({row["symbol"] for row in rows})}}
    newer = [{"code": "200000", "data": list(rows)}] if rows else []
    return [{"code": "200000", "data": page}, symbols, *newer]


def gate(*rows: Row) -> list[Any]:
    return [[{"currency_pair": "BTC_USDT", "total": len(rows), "orders": list(rows)}]]


def bitget(*rows: Row) -> list[Any]:
    return [{"code": "00000", "msg": "success", "requestTime": AT_MS, "data": list(rows)}]


ENVELOPES: dict[str, Callable[..., list[Any]]] = {
    "binance": binance,
    "okx": okx,
    "bybit": bybit,
    "htx": htx,
    "kucoin": kucoin,
    "gate": gate,
    "bitget": bitget,
    "mexc": binance,
}
BINANCE_ROW = {
    "symbol": "BTCUSDT",
    "orderId": 31,
    "clientOrderId": "mine",
    "price": "64000.10",
    "origQty": "1.5",
    "executedQty": "0.5",
    "status": "PARTIALLY_FILLED",
    "type": "LIMIT_MAKER",
    "side": "SELL",
    "time": AT_MS,
}
ROWS: dict[str, Row] = {
    "binance": BINANCE_ROW,
    "mexc": {**BINANCE_ROW, "orderId": "31"},
    "okx": {
        "instId": "BTC-USDT",
        "ordId": "31",
        "clOrdId": "mine",
        "px": "64000.10",
        "sz": "1.5",
        "accFillSz": "0.5",
        "ordType": "limit_maker",
        "side": "sell",
        "cTime": str(AT_MS),
    },
    "bybit": {
        "symbol": "BTCUSDT",
        "orderId": "31",
        "orderLinkId": "mine",
        "price": "64000.10",
        "qty": "1.5",
        "cumExecQty": "0.5",
        "orderType": "Limit_Maker",
        "side": "Sell",
        "createdTime": str(AT_MS),
    },
    "htx": {
        "symbol": "btcusdt",
        "id": 31,
        "client-order-id": "mine",
        "price": "64000.10",
        "amount": "1.5",
        "filled-amount": "0.5",
        "type": "sell-limit-maker",
        "created-at": AT_MS,
    },
    "kucoin": {
        "symbol": "BTC-USDT",
        "id": "31",
        "clientOid": "mine",
        "price": "64000.10",
        "size": "1.5",
        "dealSize": "0.5",
        "type": "limit_maker",
        "side": "sell",
        "createdAt": AT_MS,
    },
    "gate": {
        "currency_pair": "BTC_USDT",
        "id": "31",
        "text": "t-mine",
        "price": "64000.10",
        "amount": "1.5",
        "left": "1.0",
        "type": "limit_maker",
        "side": "sell",
        "create_time_ms": AT_MS,
    },
    "bitget": {
        "symbol": "BTCUSDT",
        "orderId": "31",
        "clientOid": "mine",
        "priceAvg": "64000.10",
        "size": "1.5",
        "baseVolume": "0.5",
        "orderType": "limit_maker",
        "side": "sell",
        "cTime": str(AT_MS),
    },
}
AMOUNTS = {
    "binance": "origQty",
    "mexc": "origQty",
    "okx": "sz",
    "bybit": "qty",
    "htx": "amount",
    "kucoin": "size",
    "gate": "amount",
    "bitget": "size",
}
FILLED = {
    "binance": "executedQty",
    "mexc": "executedQty",
    "okx": "accFillSz",
    "bybit": "cumExecQty",
    "htx": "filled-amount",
    "kucoin": "dealSize",
    "gate": "left",
    "bitget": "baseVolume",
}
PRICES = {"okx": "px", "bitget": "priceAvg"}
SEPARATED = ("okx", "kucoin", "gate")


def read(exchange: str, *rows: Row) -> tuple[OpenOrder, ...]:
    return dialect(exchange).read_open_orders(ENVELOPES[exchange](*rows))


@pytest.mark.parametrize("exchange", SUPPORTED)
def test_an_order_is_read_exactly(exchange: str) -> None:
    instruments = {"okx": "BTC-USDT", "kucoin": "BTC-USDT", "gate": "BTC_USDT", "htx": "btcusdt"}

    assert read(exchange, ROWS[exchange]) == (
        OpenOrder(
            order_id="31",
            client_order_id="t-mine" if exchange == "gate" else "mine",
            instrument=instruments.get(exchange, "BTCUSDT"),
            symbol="BTC/USDT" if exchange in SEPARATED else None,
            side="sell",
            order_type="limit_maker",
            price=Decimal("64000.10"),
            amount=Decimal("1.5"),
            filled=Decimal("0.5"),
            created_at=AT,
        ),
    )


@pytest.mark.parametrize("exchange", SUPPORTED)
def test_no_order_is_no_refusal(exchange: str) -> None:
    assert read(exchange) == ()


@pytest.mark.parametrize("exchange", SUPPORTED)
@pytest.mark.parametrize("price", ["0", "", None, "0.000"])
def test_an_order_without_a_limit_has_no_price(exchange: str, price: Any) -> None:
    row = {**ROWS[exchange], PRICES.get(exchange, "price"): price}

    assert read(exchange, row)[0].price is None


@pytest.mark.parametrize("exchange", SUPPORTED)
@pytest.mark.parametrize(
    "amount", [1.5, "-1", "NaN", "Infinity", "1e41", "9" * 65, "1_0", True, [], None, ""]
)
def test_an_amount_that_is_none_is_refused(exchange: str, amount: Any) -> None:
    for name in (AMOUNTS[exchange], FILLED[exchange]):
        with pytest.raises(NotTheExchange):
            read(exchange, {**ROWS[exchange], name: amount})


@pytest.mark.parametrize("exchange", SUPPORTED)
def test_more_than_was_ordered_cannot_be_filled(exchange: str) -> None:
    with pytest.raises(NotTheExchange):
        read(exchange, {**ROWS[exchange], FILLED[exchange]: "1.6"})


@pytest.mark.parametrize("exchange", SUPPORTED)
def test_a_side_nobody_knows_is_refused(exchange: str) -> None:
    name, word = ("type", "lend-limit") if exchange == "htx" else ("side", "lend")

    with pytest.raises(NotTheExchange):
        read(exchange, {**ROWS[exchange], name: word})


@pytest.mark.parametrize("exchange", SUPPORTED)
@pytest.mark.parametrize("text", ["\ud800", "a\x00b", "a\r\nb", "9" * 5000])
def test_a_text_that_fits_into_no_answer_is_refused(exchange: str, text: str) -> None:
    names = {"gate": "currency_pair", "okx": "instId"}

    with pytest.raises(NotTheExchange):
        read(exchange, {**ROWS[exchange], names.get(exchange, "symbol"): text})


@pytest.mark.parametrize("exchange", SEPARATED)
@pytest.mark.parametrize("parts", [["BTC"], ["BTC", "USDT", "SWAP"], ["", "USDT"], ["BTC", ""]])
def test_a_name_of_another_form_is_no_symbol(exchange: str, parts: list[str]) -> None:
    name, separator = {"gate": ("currency_pair", "_"), "okx": ("instId", "-")}.get(
        exchange, ("symbol", "-")
    )

    (order,) = read(exchange, {**ROWS[exchange], name: separator.join(parts)})

    assert order.symbol is None


@pytest.mark.parametrize("exchange", SUPPORTED)
def test_an_order_on_two_pages_is_one_and_the_oldest_comes_first(exchange: str) -> None:
    ids = {"okx": "ordId", "kucoin": "id", "gate": "id", "htx": "id"}
    times = {
        "okx": "cTime",
        "bybit": "createdTime",
        "htx": "created-at",
        "kucoin": "createdAt",
        "gate": "create_time_ms",
        "bitget": "cTime",
    }
    older = {**ROWS[exchange], ids.get(exchange, "orderId"): "30"}
    older[times.get(exchange, "time")] = str(AT_MS - 1)

    found = read(exchange, ROWS[exchange], older, ROWS[exchange])

    assert [order.order_id for order in found] == ["30", "31"]


@pytest.mark.parametrize("exchange", SUPPORTED)
@pytest.mark.parametrize("answer", [None, "", {}, "<html>", True, 1, {"code": "1"}, [None], [[]]])
def test_an_answer_without_the_success_marker_is_no_empty_list(exchange: str, answer: Any) -> None:
    with pytest.raises(NotTheExchange):
        dialect(exchange).read_open_orders([answer, answer])


@pytest.mark.parametrize("exchange", SUPPORTED)
def test_no_answer_at_all_is_no_empty_list(exchange: str) -> None:
    with pytest.raises(NotTheExchange):
        dialect(exchange).read_open_orders([])


def test_htx_needs_the_orders_and_not_the_accounts_alone() -> None:
    with pytest.raises(NotTheExchange):
        dialect("htx").read_open_orders(htx()[:1])


def test_gate_tells_by_which_door_an_order_came_and_that_is_no_id() -> None:
    (order,) = read("gate", {**ROWS["gate"], "text": "web"})

    assert order.client_order_id is None


def test_kucoins_older_engine_lists_its_orders_by_the_page() -> None:
    page = {"totalPage": 1, "items": [ROWS["kucoin"]]}
    answers = [{"code": "200000", "data": page}, {"code": "200000", "data": {"symbols": []}}]

    assert len(dialect("kucoin").read_open_orders(answers)) == 1


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, list[Any]]:
    """Draw an exchange's answer with one value somewhere in it exchanged for another."""
    exchange = draw(st.sampled_from(SUPPORTED))
    answers = copy.deepcopy(ENVELOPES[exchange](ROWS[exchange], ROWS[exchange]))
    inside: Any = answers
    while True:
        keys = sorted(inside) if isinstance(inside, dict) else range(len(inside))
        at = draw(st.sampled_from(list(keys)))
        deeper = inside[at]
        if not isinstance(deeper, dict | list) or not deeper or draw(st.booleans()):
            inside[at] = draw(
                st.none()
                | st.booleans()
                | st.integers()
                | st.floats()
                | st.decimals()
                | st.text()
                | st.sampled_from(["1e999999999", 10**5000, -1, [], {}, "sNaN", Decimal("-0")])
            )
            return exchange, answers
        inside = deeper


@given(damaged())
def test_a_damaged_answer_is_read_or_refused_and_nothing_else(case: tuple[str, list[Any]]) -> None:
    exchange, answers = case
    try:
        orders = dialect(exchange).read_open_orders(answers)
    except NotTheExchange:
        return

    for order in orders:
        assert order.amount.is_finite()
        assert order.remaining >= 0
        json.dumps([order.order_id, order.symbol, order.instrument]).encode()


@given(st.sampled_from(SUPPORTED), st.lists(hostile_bodies, max_size=3))
def test_anything_else_is_refused_and_nothing_else(exchange: str, bodies: list[str]) -> None:
    answers = []
    for body in bodies:
        try:
            answers.append(json.loads(body, parse_float=Decimal))
        except (ValueError, RecursionError, ArithmeticError):
            answers.append(None)
    with contextlib.suppress(NotTheExchange):
        dialect(exchange).read_open_orders(answers)
