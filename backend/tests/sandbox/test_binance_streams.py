"""CCXT's own watch_* calls on the sandbox's Binance, with nothing changed but the address."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from backend.tests.support.ccxt_clients import lean_config, streaming_client
from backend.tests.support.sandbox import RunningSandbox

SYMBOL = "BTC/USDT"
SOON_SECONDS = 60


@pytest.fixture
async def client(sandbox: RunningSandbox) -> AsyncIterator[Any]:
    keys = sandbox.account("binance", "sub_account").keys
    url = sandbox.url("binance")
    async with streaming_client("binance", url, keys, **lean_config("binance")) as found:
        await found.load_markets()
        yield found


async def test_a_ticker_is_told_again_and_again(client: Any) -> None:
    async with asyncio.timeout(SOON_SECONDS):
        first = await client.watch_ticker(SYMBOL, {"name": "ticker"})
        second = await client.watch_ticker(SYMBOL, {"name": "ticker"})
        short = await client.watch_ticker(SYMBOL)

    assert first["symbol"] == SYMBOL
    assert first["bid"] < first["last"] < first["ask"]
    assert second["timestamp"] > first["timestamp"]
    assert short["last"] > 0


async def test_all_tickers_come_in_one(client: Any) -> None:
    async with asyncio.timeout(SOON_SECONDS):
        told = await client.watch_tickers()

    assert {SYMBOL, "ETH/BTC"} <= set(told)


async def test_the_best_bid_and_ask_are_told(client: Any) -> None:
    async with asyncio.timeout(SOON_SECONDS):
        told = (await client.watch_bids_asks([SYMBOL]))[SYMBOL]

    assert told["bid"] < told["ask"]


async def test_public_trades_are_told_once_each(client: Any) -> None:
    client.newUpdates = True
    async with asyncio.timeout(SOON_SECONDS):
        first = await client.watch_trades(SYMBOL)
        second = await client.watch_trades(SYMBOL)

    assert {trade["id"] for trade in first}.isdisjoint(trade["id"] for trade in second)


async def test_a_book_is_kept_from_a_snapshot_and_its_changes(client: Any) -> None:
    async with asyncio.timeout(SOON_SECONDS):
        first = (await client.watch_order_book(SYMBOL))["nonce"]
        for price in (20_000, 20_001, 20_002):
            changed = asyncio.create_task(client.watch_order_book(SYMBOL))
            # Where the price stands still, nothing but an order moves the book.
            order = await client.create_order(SYMBOL, "limit", "buy", 0.001, price)
            book = await changed
            await client.cancel_order(order["id"], SYMBOL)

    assert book["nonce"] > first
    assert book["bids"][0][0] < book["asks"][0][0]


async def test_a_candle_grows(client: Any) -> None:
    async with asyncio.timeout(SOON_SECONDS):
        candles = await client.watch_ohlcv(SYMBOL, "1m")

    opened, _, high, low, _, _ = candles[-1]
    assert opened % 60_000 == 0
    assert low <= high


async def test_an_order_is_told_as_it_goes(client: Any) -> None:
    client.newUpdates = True
    told: list[tuple[str, str]] = []

    async def listen() -> None:
        while not told or told[-1][0] != "canceled":
            told.extend((each["status"], each["id"]) for each in await client.watch_orders(SYMBOL))

    async with asyncio.timeout(SOON_SECONDS):
        listening = asyncio.create_task(listen())
        await client.authenticate({"type": "spot"})
        order = await client.create_order(SYMBOL, "limit", "buy", 0.001, 20_000)
        while not told:
            await asyncio.sleep(0.01)
        await client.cancel_order(order["id"], SYMBOL)
        await listening

    assert told == [("open", order["id"]), ("canceled", order["id"])]


async def test_a_trade_and_what_it_leaves_are_told(client: Any) -> None:
    async with asyncio.timeout(SOON_SECONDS):
        trades = asyncio.create_task(client.watch_my_trades(SYMBOL))
        held = asyncio.create_task(client.watch_balance())
        await client.authenticate({"type": "spot"})
        before = (await client.fetch_balance())["BTC"]["total"]
        order = await client.create_order(SYMBOL, "market", "sell", 0.001)
        [trade] = await trades
        balance = await held

    assert (trade["order"], trade["side"], trade["amount"]) == (order["id"], "sell", 0.001)
    assert balance["BTC"]["free"] == pytest.approx(before - 0.001)


async def test_orders_go_through_the_websocket_too(client: Any) -> None:
    async with asyncio.timeout(SOON_SECONDS):
        placed = await client.create_order_ws(SYMBOL, "limit", "buy", 0.001, 20_000)
        [resting] = await client.fetch_open_orders_ws(SYMBOL)
        seen = await client.fetch_order_ws(placed["id"], SYMBOL)
        cancelled = await client.cancel_order_ws(placed["id"], SYMBOL)
        bought = await client.create_order_ws(SYMBOL, "market", "buy", 0.001)
        trades = await client.fetch_my_trades_ws(SYMBOL)

    assert placed["id"] == resting["id"] == seen["id"] == cancelled["id"]
    assert (resting["status"], cancelled["status"]) == ("open", "canceled")
    assert bought["id"] in {trade["order"] for trade in trades}
