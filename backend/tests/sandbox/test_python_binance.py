"""python-binance, unmodified, on the durable venue: it places, sees and cancels orders."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from backend.app.database import Database
from backend.tests.support.python_binance import (
    SECONDS_MAX,
    blocking_client,
    hang_up,
    listening_client,
)
from backend.tests.support.sandbox import RunningSandbox
from backend.tests.support.venue_doors import doors_on

SYMBOL = "BTCUSDT"


@pytest.fixture
async def doors(database: Database) -> AsyncIterator[RunningSandbox]:
    async with doors_on(database) as running:
        yield running


def place_see_and_cancel(client: Any) -> tuple[dict[str, Any], ...]:
    placed = client.create_order(
        symbol=SYMBOL,
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity="0.01",
        price="50000.00",
    )
    seen = client.get_order(symbol=SYMBOL, orderId=placed["orderId"])
    [resting] = client.get_open_orders(symbol=SYMBOL)
    locked = client.get_asset_balance(asset="USDT")
    cancelled = client.cancel_order(symbol=SYMBOL, orderId=placed["orderId"])
    return placed, seen, resting, locked, cancelled


async def test_it_places_sees_and_cancels_orders(doors: RunningSandbox) -> None:
    client = blocking_client(doors.url("binance"), doors.account("binance", "full").keys)

    told = await asyncio.to_thread(place_see_and_cancel, client)
    left = await asyncio.to_thread(client.get_open_orders)
    every = await asyncio.to_thread(client.get_all_orders, symbol=SYMBOL)

    placed, seen, resting, locked, cancelled = told
    assert placed["orderId"] == seen["orderId"] == resting["orderId"] == cancelled["orderId"]
    assert (placed["status"], seen["status"], cancelled["status"]) == ("NEW", "NEW", "CANCELED")
    assert (resting["price"], resting["origQty"]) == ("50000", "0.01")
    assert (locked["free"], locked["locked"]) == ("99500", "500")
    assert left == []
    assert [order["status"] for order in every] == ["CANCELED"]


async def test_two_of_its_users_trade_with_each_other(doors: RunningSandbox) -> None:
    url = doors.url("binance")
    maker = blocking_client(url, doors.account("binance", "second").keys)
    taker = blocking_client(url, doors.account("binance", "full").keys)

    await asyncio.to_thread(maker.order_limit_sell, symbol=SYMBOL, quantity="0.2", price="60000.00")
    bought = await asyncio.to_thread(taker.order_market_buy, symbol=SYMBOL, quantity="0.1")
    depth = await asyncio.to_thread(taker.get_order_book, symbol=SYMBOL)
    [trade] = await asyncio.to_thread(taker.get_my_trades, symbol=SYMBOL)

    assert (bought["status"], bought["cummulativeQuoteQty"]) == ("FILLED", "6000")
    assert depth["asks"] == [["60000", "0.1"]]
    assert (trade["commission"], trade["commissionAsset"]) == ("0.0001", "BTC")


async def test_it_listens_to_its_account_and_to_the_market(doors: RunningSandbox) -> None:
    url = doors.url("binance")
    maker = blocking_client(url, doors.account("binance", "second").keys)
    keys = doors.account("binance", "full").keys
    async with (
        listening_client(url, keys) as (client, streams),
        streams.user_socket() as account,
        streams.trade_socket(SYMBOL) as market,
    ):
        await asyncio.to_thread(
            maker.order_limit_sell, symbol=SYMBOL, quantity="0.2", price="60000.00"
        )
        await client.create_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.1")
        async with asyncio.timeout(SECONDS_MAX):
            reports = [await account.recv() for _ in range(3)]
            trade = await market.recv()
        await hang_up(market)

    assert [each.get("x") for each in reports] == ["NEW", "TRADE", None]
    assert reports[2]["e"] == "outboundAccountPosition"
    assert (trade["p"], trade["q"], trade["m"]) == ("60000", "0.1", False)
