"""What CCXT sees of an order's time in force, on all eight."""

from collections.abc import AsyncIterator
from typing import Any

import ccxt.async_support as ccxt
import pytest
import pytest_asyncio

from backend.app.sandbox.accounts import EXCHANGES
from backend.tests.support.ccxt_clients import ccxt_client, lean_config
from backend.tests.support.sandbox import RunningSandbox

SYMBOL = "BTC/USDT"
GONE = {"canceled", "expired"}
REFUSES_POST_ONLY = {"binance", "gate"}
REFUSES_ALL_OR_NOTHING = {"gate"}


@pytest_asyncio.fixture(params=EXCHANGES)
async def client(request: pytest.FixtureRequest, sandbox: RunningSandbox) -> AsyncIterator[Any]:
    exchange = str(request.param)
    config = lean_config(exchange)
    config["options"]["fetchOrder"] = {"acknowledged": True}
    keys = sandbox.account(exchange, "second").keys
    async with ccxt_client(exchange, sandbox.url(exchange), keys, **config) as made:
        yield made


async def place(client: Any, amount: float, away: float, word: str) -> Any:
    last = (await client.fetch_ticker(SYMBOL))["last"]
    params = {"timeInForce": word}
    placed = await client.create_order(SYMBOL, "limit", "buy", amount, last * away, params)
    return await client.fetch_order(placed["id"], SYMBOL)


async def test_an_immediate_order_far_from_the_market_is_gone(client: Any) -> None:
    order = await place(client, 0.01, 0.5, "IOC")

    assert (order["status"] in GONE, order["filled"]) == (True, 0.0)


async def test_an_immediate_order_at_the_market_trades(client: Any) -> None:
    order = await place(client, 0.01, 1.02, "IOC")

    assert (order["status"], order["filled"]) == ("closed", 0.01)


async def test_all_or_nothing_far_from_the_market_is_nothing(client: Any) -> None:
    if client.id in REFUSES_ALL_OR_NOTHING:
        with pytest.raises(ccxt.ExchangeError, match="FOK_NOT_FILL"):
            await place(client, 0.01, 0.5, "FOK")
        return

    order = await place(client, 0.01, 0.5, "FOK")

    assert (order["status"] in GONE, order["filled"]) == (True, 0.0)


async def test_all_or_nothing_at_the_market_is_all(client: Any) -> None:
    order = await place(client, 0.01, 1.02, "FOK")

    assert (order["status"], order["filled"]) == ("closed", 0.01)


async def test_an_order_that_may_only_rest_does_not_trade(client: Any) -> None:
    if client.id in REFUSES_POST_ONLY:
        with pytest.raises(ccxt.OrderImmediatelyFillable):
            await place(client, 0.01, 1.02, "PO")
        return

    order = await place(client, 0.01, 1.02, "PO")

    assert (order["status"] in GONE, order["filled"]) == (True, 0.0)


async def test_an_order_that_may_only_rest_rests_away_from_the_market(client: Any) -> None:
    order = await place(client, 0.01, 0.5, "PO")
    await client.cancel_order(order["id"], SYMBOL)

    assert (order["status"], order["filled"]) == ("open", 0.0)
