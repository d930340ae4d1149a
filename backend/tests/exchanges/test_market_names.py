"""What market names mean: told by the exchange, kept for an hour, never guessed."""

from typing import Any

import pytest

from backend.app.exchanges import market_names
from backend.app.exchanges.market_names import ASKED_BY_NAME_MAX, KEPT_SECONDS, MarketNames


class HandTime:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_a_name_is_known_for_an_hour() -> None:
    time = HandTime()
    names = MarketNames(time)
    names.keep("binance", ("BTCUSDT",), {"BTCUSDT": "BTC/USDT"})

    before = names.symbol("binance", "BTCUSDT"), names.unknown("binance", ["BTCUSDT"])
    time.seconds += KEPT_SECONDS
    after = names.symbol("binance", "BTCUSDT"), names.unknown("binance", ["BTCUSDT"])

    assert before == ("BTC/USDT", ())
    assert after == (None, ("BTCUSDT",))


def test_that_nothing_was_told_is_remembered_too() -> None:
    names = MarketNames(HandTime())
    names.keep("binance", ("GONEUSDT", "BTCUSDT"), {"BTCUSDT": "BTC/USDT"})

    assert names.symbol("binance", "GONEUSDT") is None
    assert names.unknown("binance", ["GONEUSDT", "BTCUSDT", "NEWUSDT"]) == ("NEWUSDT",)


def test_exchanges_do_not_share_names() -> None:
    names = MarketNames(HandTime())
    names.keep("binance", (), {"BTCUSDT": "BTC/USDT"})

    assert names.symbol("mexc", "BTCUSDT") is None


def test_only_a_bounded_number_of_plain_names_is_asked_for() -> None:
    names = MarketNames(HandTime())
    wanted = [f"A{n}USDT" for n in range(500)] + ['B"],', "B&C", "B C", "9" * 50]

    unknown = names.unknown("binance", wanted)

    assert len(unknown) == ASKED_BY_NAME_MAX
    assert set(unknown) < {f"A{n}USDT" for n in range(500)}


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (
            market_names.BINANCE,
            {"symbols": [{"symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT"}]},
        ),
        (
            market_names.BYBIT,
            {"result": {"list": [{"symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT"}]}},
        ),
        (
            market_names.BITGET,
            {"data": [{"symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT"}]},
        ),
        (
            market_names.HTX,
            {"data": [{"symbol": "BTCUSDT", "base-currency": "btc", "quote-currency": "usdt"}]},
        ),
    ],
)
def test_a_list_is_read_as_documented(call: market_names.NamesCall, answer: Any) -> None:
    assert call.read(answer) == {"BTCUSDT": "BTC/USDT"}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "<html>",
        {"symbols": None},
        {"symbols": [None, 7, "BTC", {}]},
        {"symbols": [{"symbol": "BTCUSDT", "baseAsset": "B/C", "quoteAsset": "USDT"}]},
        {"symbols": [{"symbol": "BTCUSDT", "baseAsset": "\ud800", "quoteAsset": "USDT"}]},
        {"symbols": [{"symbol": 7, "baseAsset": "BTC", "quoteAsset": "USDT"}]},
    ],
)
def test_what_is_not_as_documented_is_left_out(answer: Any) -> None:
    assert market_names.BINANCE.read(answer) == {}


def test_long_lists_are_asked_for_by_name() -> None:
    assert market_names.BINANCE.asks(["A", "B"]) == {"symbols": '["A","B"]'}
    assert market_names.MEXC.asks(["A", "B"]) == {"symbols": "A,B"}
    assert market_names.BYBIT.asks(["A", "B"]) == {"category": "spot"}
