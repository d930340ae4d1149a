"""What the spot markets commit is told once: in candles, on channels, in notifications."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx2 import AsyncClient

from backend.app.container import Container
from backend.tests.support.spot import Trader, open_venue, trader
from backend.tests.support.webhooks import rows

CANDLES = "/api/v1/candles"


@pytest.fixture(autouse=True)
async def market(services: Container) -> AsyncIterator[None]:
    async with open_venue(services):
        yield


@pytest.fixture
async def alice(client: AsyncClient, services: Container) -> Trader:
    return await trader(client, services, "alice", BTC="10")


@pytest.fixture
async def bob(client: AsyncClient, services: Container) -> Trader:
    return await trader(client, services, "bob", USDT="10000000")


async def told(services: Container, channel: str) -> list[Any]:
    """Return what was told on a channel, in order."""
    found = await rows(
        services.database,
        f"SELECT body FROM channel_messages WHERE channel = '{channel}' ORDER BY seq",
    )
    return [row.body for row in found]


async def all_told(services: Container) -> None:
    while await services.feed.step():
        pass


async def test_a_trade_becomes_a_candle_and_is_told_to_everybody(
    client: AsyncClient, services: Container, alice: Trader, bob: Trader
) -> None:
    await alice.place(side="sell", price="60000", quantity="0.3")
    await bob.place(price="60000", quantity="0.1")
    await alice.place(side="sell", price="61000", quantity="0.1")
    await bob.place(price="61000", quantity="0.3")

    await all_told(services)

    page = await client.get(
        CANDLES, params={"exchange": "strongroom", "symbol": "BTCUSDT", "interval": "1m"}
    )
    [candle] = page.json()["items"]
    assert {name: candle[name] for name in ("open", "high", "low", "close")} == {
        "open": "60000",
        "high": "61000",
        "low": "60000",
        "close": "61000",
    }
    assert (candle["volume"], candle["quote_volume"], candle["trades"]) == ("0.4", "24100", 3)
    [message] = await told(services, "trades:BTC/USDT")
    public = await client.get("/api/v1/markets/BTCUSDT/trades")
    assert message == {"trades": public.json()["items"][::-1], "more": False}
