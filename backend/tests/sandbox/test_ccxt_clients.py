"""Unmodified CCXT against the sandbox, over real HTTP with real signatures."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from ccxt.test.exchange.base.test_balance import test_balance as check_balance
from ccxt.test.exchange.base.test_market import test_market as check_market
from ccxt.test.exchange.base.test_ohlcv import test_ohlcv as check_ohlcv
from ccxt.test.exchange.base.test_order import test_order as check_order
from ccxt.test.exchange.base.test_order_book import test_order_book as check_order_book
from ccxt.test.exchange.base.test_ticker import test_ticker as check_ticker
from ccxt.test.exchange.base.test_trade import test_trade as check_trade

from backend.app.sandbox.accounts import EXCHANGES
from backend.tests.support.ccxt_clients import ccxt_client, lean_config
from backend.tests.support.sandbox import RunningSandbox

SYMBOL = "BTC/USDT"


@pytest.fixture(params=EXCHANGES)
def exchange(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest_asyncio.fixture(params=["default", "lean"])
async def client(
    request: pytest.FixtureRequest, sandbox: RunningSandbox, exchange: str
) -> AsyncIterator[Any]:
    config: dict[str, Any] = lean_config(exchange) if request.param == "lean" else {}
    # CCXT's Bybit trades swaps unless told otherwise; the sandbox has spot only.
    if exchange == "bybit":
        config.setdefault("options", {})["defaultType"] = "spot"
    keys = sandbox.account(exchange, "full").keys
    async with ccxt_client(exchange, sandbox.url(exchange), keys, **config) as made:
        yield made


async def test_a_client_reads_the_public_market(client: Any) -> None:
    markets = await client.load_markets()
    ticker = await client.fetch_ticker(SYMBOL)
    tickers = await client.fetch_tickers()
    candles = await client.fetch_ohlcv(SYMBOL, "1m", limit=10)
    book = await client.fetch_order_book(SYMBOL, 20)
    trades = await client.fetch_trades(SYMBOL, limit=20)

    assert {SYMBOL, "ETH/USDT", "ETH/BTC"} <= markets.keys()
    assert {SYMBOL, "ETH/BTC"} <= tickers.keys()
    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    assert ticker["bid"] < ticker["ask"]
    assert all(low <= min(o, c) <= max(o, c) <= high for _, o, high, low, c, _ in candles)
    assert [line[0] for line in candles] == sorted(line[0] for line in candles)
    assert len(candles) == 10
    assert book["bids"][0][0] < book["asks"][0][0]
    assert len(book["asks"]) >= 5
    assert {trade["side"] for trade in trades} <= {"buy", "sell"}
    assert all(trade["price"] > 0 and trade["amount"] > 0 for trade in trades)


async def test_what_a_client_reads_passes_ccxts_own_checks(client: Any) -> None:
    markets = await client.load_markets()
    soon_ms = client.milliseconds() + 60_000
    book = await client.fetch_order_book(SYMBOL)
    placed = await client.create_order(SYMBOL, "limit", "sell", 0.01, 150_000)
    order = await _fetched(client, placed["id"])

    for market in markets.values():
        check_market(client, {}, "fetchMarkets", market)
    # Gate tells no opening price; CCXT works it back from a rounded percentage.
    rounded = {"compareOHLC": True} if client.id == "gate" else {}
    for symbol, ticker in (await client.fetch_tickers()).items():
        check_ticker(client, rounded, "fetchTickers", ticker, symbol)
    for candle in await client.fetch_ohlcv(SYMBOL, "1h", limit=24):
        check_ohlcv(client, {}, "fetchOHLCV", candle, SYMBOL, soon_ms)
    for trade in await client.fetch_trades(SYMBOL, limit=20):
        check_trade(client, {}, "fetchTrades", trade, SYMBOL, soon_ms, True)
    # Binance's book carries no time; CCXT's own list of exceptions says so too.
    skipped = {"timestamp": True, "datetime": True} if client.id == "binance" else {}
    check_order_book(client, skipped, "fetchOrderBook", book, SYMBOL)
    check_order(client, {}, "fetchOrder", order, SYMBOL, soon_ms)
    check_balance(client, {}, "fetchBalance", await client.fetch_balance())
    await client.cancel_order(placed["id"], SYMBOL)


async def test_a_clients_clock_and_status_are_answered(client: Any) -> None:
    before_ms = client.milliseconds()
    told_ms = await client.fetch_time()

    # Some tell it in whole seconds.
    assert before_ms - 1_000 < told_ms <= client.milliseconds()
    if client.has["fetchStatus"]:
        assert (await client.fetch_status())["status"] == "ok"


async def test_a_client_rests_an_order_finds_it_and_cancels_it(client: Any) -> None:
    price = (await client.fetch_ticker(SYMBOL))["last"] * 0.5
    before = await client.fetch_balance()

    placed = await client.create_order(SYMBOL, "limit", "buy", 0.01, price)
    found = await _fetched(client, placed["id"])
    resting = await client.fetch_open_orders(SYMBOL)
    during = await client.fetch_balance()
    await client.cancel_order(placed["id"], SYMBOL)
    after = await client.fetch_balance()

    assert (found["status"], found["side"], found["type"]) == ("open", "buy", "limit")
    assert (found["amount"], found["filled"]) == (0.01, 0.0)
    assert placed["id"] in {order["id"] for order in resting}
    assert during["USDT"]["used"] > before["USDT"]["used"]
    assert after["USDT"] == before["USDT"]


async def test_a_client_trades_at_the_market_both_ways(client: Any) -> None:
    last = (await client.fetch_ticker(SYMBOL))["last"]
    before = await client.fetch_balance()

    bought = await client.create_order(SYMBOL, "market", "buy", 0.01, last)
    between = await client.fetch_balance()
    filled = await _fetched(client, bought["id"])
    await client.create_order(SYMBOL, "market", "sell", 0.01)
    after = await client.fetch_balance()

    assert filled["status"] == "closed"
    assert filled["filled"] == pytest.approx(0.01, rel=0.01)
    assert filled["average"] == pytest.approx(last, rel=0.01)
    assert between["BTC"]["total"] == pytest.approx(before["BTC"]["total"] + filled["filled"])
    assert between["USDT"]["total"] < before["USDT"]["total"]
    assert after["BTC"]["total"] == pytest.approx(between["BTC"]["total"] - 0.01)


async def test_a_client_reads_what_was(client: Any) -> None:
    last = (await client.fetch_ticker(SYMBOL))["last"]
    began_ms = client.milliseconds() - 60_000

    bought = await client.create_order(SYMBOL, "market", "buy", 0.01, last)
    resting = await client.create_order(SYMBOL, "limit", "buy", 0.01, last * 0.5)
    await client.cancel_order(resting["id"], SYMBOL)
    closed = await client.fetch_closed_orders(SYMBOL, began_ms)
    trades = await client.fetch_my_trades(SYMBOL, began_ms)
    # CCXT's HTX can name a deposit's chain only once it has read the currencies.
    await client.fetch_currencies()
    deposits = await client.fetch_deposits("BTC")
    withdrawals = await client.fetch_withdrawals("BTC")

    filled = await _fetched(client, bought["id"])
    own = [trade for trade in trades if trade["order"] == bought["id"]]
    assert bought["id"] in {order["id"] for order in closed}
    assert resting["id"] not in {order["id"] for order in closed if order["status"] == "open"}
    assert sum(trade["amount"] for trade in own) == pytest.approx(filled["filled"])
    assert {(trade["side"], trade["takerOrMaker"]) for trade in own} == {("buy", "taker")}
    assert [(line["amount"], line["status"]) for line in deposits] == [(2.5, "ok")]
    assert withdrawals == []


async def test_every_amount_a_client_reads_is_the_worlds(
    client: Any, sandbox: RunningSandbox, exchange: str
) -> None:
    client.number = Decimal
    keys = sandbox.account(exchange, "second").keys
    client.apiKey, client.secret, client.password = keys.api_key, keys.api_secret, keys.passphrase

    balance = await client.fetch_balance()

    assert balance["USDT"]["total"] == 100_000
    assert balance["BTC"]["free"] == Decimal("2.5")


async def _fetched(client: Any, order_id: str) -> Any:
    # CCXT's Bybit wants to hear that only recent orders are found; the others ignore the word.
    params = {"acknowledged": True} if client.id == "bybit" else {}
    return await client.fetch_order(order_id, SYMBOL, params)
