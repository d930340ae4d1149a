"""The spot markets as everybody sees them, over HTTP."""

from collections.abc import AsyncIterator

import pytest
from httpx2 import AsyncClient

from backend.app.container import Container
from backend.tests.support.spot import MARKETS, open_venue, trader


@pytest.fixture
async def market(services: Container) -> AsyncIterator[None]:
    async with open_venue(services):
        yield


async def test_the_markets_tell_what_orders_must_keep_to(client: AsyncClient) -> None:
    markets = (await client.get(MARKETS)).json()

    assert [each["symbol"] for each in markets] == [
        *("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT"),
        *("ADA/USDT", "DOGE/USDT", "LTC/USDT", "ETH/BTC"),
    ]
    assert markets[0] == {
        "symbol": "BTC/USDT",
        "base_asset": "BTC",
        "quote_asset": "USDT",
        "is_active": True,
        "tick_size": "0.01",
        "price_min": "0.01",
        "price_max": "10000000.00",
        "step_size": "0.00001",
        "quantity_max": "100.00000",
        "min_notional": "5",
        "maker_fee_rate": "0.001",
        "taker_fee_rate": "0.001",
    }


@pytest.mark.parametrize("name", ["BTC/USDT", "BTCUSDT", "btc-usdt", "btc_usdt", "BTC%2FUSDT"])
async def test_a_market_goes_by_any_of_its_names(client: AsyncClient, name: str) -> None:
    answer = await client.get(f"{MARKETS}/{name}")

    assert (answer.status_code, answer.json()["symbol"]) == (200, "BTC/USDT")


@pytest.mark.parametrize("path", ["", "/book", "/trades"])
@pytest.mark.parametrize("name", ["NOPE", "BTC", "PIKACHU", "BTC/USD", "%00", "a" * 64])
async def test_a_market_that_is_not_there_is_not_found(
    client: AsyncClient, name: str, path: str
) -> None:
    answer = await client.get(f"{MARKETS}/{name}{path}")

    assert (answer.status_code, answer.json()["code"]) == (404, "symbol-unknown")


@pytest.mark.usefixtures("market")
async def test_the_book_shows_what_waits_the_best_first(
    client: AsyncClient, services: Container
) -> None:
    alice = await trader(client, services, "alice", USDT="100000", BTC="1")
    for price in ("60000", "59000", "60000"):
        await alice.place(price=price, quantity="0.1")
    for price in ("62000", "61000.01"):
        await alice.place(side="sell", price=price, quantity="0.2")
    await alice.place(
        side="sell", type="stop_limit", price="50000", stop_price="55000", quantity="0.1"
    )

    book = (await client.get(f"{MARKETS}/btc-usdt/book")).json()
    best = (await client.get(f"{MARKETS}/BTC/USDT/book", params={"limit": 1})).json()

    assert book == {
        "symbol": "BTC/USDT",
        "bids": [
            {"price": "60000.00", "quantity": "0.20000"},
            {"price": "59000.00", "quantity": "0.10000"},
        ],
        "asks": [
            {"price": "61000.01", "quantity": "0.20000"},
            {"price": "62000.00", "quantity": "0.20000"},
        ],
    }
    assert (best["bids"], best["asks"]) == (book["bids"][:1], book["asks"][:1])


@pytest.mark.usefixtures("market")
async def test_trades_are_public_and_name_nobody(client: AsyncClient, services: Container) -> None:
    alice = await trader(client, services, "alice", BTC="1")
    bob = await trader(client, services, "bob", USDT="100000")
    await alice.place(side="sell", price="60000", quantity="0.3")
    for quantity in ("0.1", "0.2"):
        await bob.place(price="60000", quantity=quantity)

    page = (await client.get(f"{MARKETS}/BTCUSDT/trades", params={"limit": 1})).json()
    rest = await client.get(
        f"{MARKETS}/BTCUSDT/trades", params={"limit": 1, "cursor": page["next_cursor"]}
    )

    [newest] = page["items"]
    assert {**newest, "id": 0, "traded_at": ""} == {
        "id": 0,
        "price": "60000.00",
        "quantity": "0.20000",
        "quote_quantity": "12000",
        "taker_side": "buy",
        "traded_at": "",
    }
    assert [each["quantity"] for each in rest.json()["items"]] == ["0.10000"]
    assert rest.json()["next_cursor"] is None


@pytest.mark.parametrize("limit", ["0", "501", "x", "1.5"])
async def test_a_book_has_bounds(client: AsyncClient, limit: str) -> None:
    answer = await client.get(f"{MARKETS}/BTCUSDT/book", params={"limit": limit})

    assert (answer.status_code, answer.json()["code"]) == (422, "validation")


async def test_a_book_that_no_engine_leads_is_elsewhere(client: AsyncClient) -> None:
    answer = await client.get(f"{MARKETS}/BTCUSDT/book")

    assert (answer.status_code, answer.json()["code"]) == (503, "engine-elsewhere")
    assert answer.headers["Retry-After"] == "1"
