"""What Binance, OKX, Bybit and HTX say an account holds, and what is no such answer."""

import json
from decimal import Decimal
from typing import Any

import pytest

from backend.app.exchanges.dialects.base import NotTheExchange
from backend.app.exchanges.key_information import Balance
from backend.app.exchanges.registry import dialect


def answers(exchange: str, available: Any, locked: Any) -> list[Any]:
    """Return an account of one asset, as the exchange tells it. Amounts go in as they are."""
    if exchange == "binance":
        return [{"balances": [{"asset": "BTC", "free": available, "locked": locked}]}]
    if exchange == "okx":
        row = {"ccy": "BTC", "availBal": available, "frozenBal": locked}
        return [{"code": "0", "msg": "", "data": [{"details": [row]}]}]
    if exchange == "bybit":
        row = {"coin": "BTC", "walletBalance": available, "locked": locked}
        return [{"retCode": 0, "result": {"list": [{"coin": [row]}]}}]
    rows = [
        {"currency": "btc", "type": "trade", "balance": available},
        {"currency": "btc", "type": "frozen", "balance": locked},
    ]
    accounts = {"status": "ok", "data": [{"id": 7, "type": "spot", "state": "working"}]}
    return [accounts, {"status": "ok", "data": {"id": 7, "type": "spot", "list": rows}}]


EXCHANGES = ("binance", "okx", "bybit", "htx")


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("kind", [str, Decimal])
def test_an_asset_is_read_exactly(exchange: str, kind: type) -> None:
    # Bybit tells the whole wallet, the others what is free.
    told = "1.600000000000000001" if exchange == "bybit" else "1.100000000000000001"

    read = dialect(exchange).read_balances(answers(exchange, kind(told), kind("0.5")))

    assert read == (Balance("BTC", Decimal("1.100000000000000001"), Decimal("0.5")),)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_an_empty_asset_is_left_out(exchange: str) -> None:
    assert dialect(exchange).read_balances(answers(exchange, "0.000", 0)) == ()


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("parsed", ["NaN", "Infinity", "-Infinity", "1.5", "true", '"NaN"'])
def test_what_python_parses_as_float_or_no_number_is_refused(exchange: str, parsed: str) -> None:
    with pytest.raises(NotTheExchange):
        dialect(exchange).read_balances(answers(exchange, json.loads(parsed), "0"))


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize(
    "amount", ["-0.1", "Infinity", "sNaN", "1_0", "abc", "1e41", "9" * 65, [], {}, Decimal("NaN")]
)
def test_an_amount_that_is_none_is_refused(exchange: str, amount: Any) -> None:
    with pytest.raises(NotTheExchange):
        dialect(exchange).read_balances(answers(exchange, amount, "0"))


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("answer", [None, "", [], {}, "<html>", True, {"balances": None}])
def test_an_answer_without_the_success_marker_is_refused(exchange: str, answer: Any) -> None:
    with pytest.raises(NotTheExchange):
        dialect(exchange).read_balances([answer, answer])


@pytest.mark.parametrize(
    ("exchange", "answer"),
    [
        ("okx", {"code": "50119", "data": [{"details": []}]}),
        ("okx", {"code": "0", "data": []}),
        ("bybit", {"retCode": 10003, "result": {"list": []}}),
        ("bybit", {"retCode": 0, "result": {}}),
        ("htx", {"status": "error", "data": {"list": []}}),
    ],
)
def test_a_refusal_is_no_empty_account(exchange: str, answer: Any) -> None:
    with pytest.raises(NotTheExchange):
        dialect(exchange).read_balances([answer, answer])


def test_no_answer_at_all_is_no_empty_account() -> None:
    for exchange in EXCHANGES:
        with pytest.raises(NotTheExchange):
            dialect(exchange).read_balances([])


def test_bybit_cannot_lock_more_than_it_holds() -> None:
    with pytest.raises(NotTheExchange):
        dialect("bybit").read_balances(answers("bybit", "1", "2"))


def test_htx_counts_only_what_is_free_or_frozen() -> None:
    told = answers("htx", "1", "0")
    told[1]["data"]["list"].append({"currency": "btc", "type": "loan", "balance": "-5"})

    assert dialect("htx").read_balances(told) == (Balance("BTC", Decimal(1)),)
