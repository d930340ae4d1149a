"""Candles over HTTP, in both roles."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from httpx2 import ASGITransport, AsyncClient

from backend.app.candle_interval import CandleInterval
from backend.app.config import Settings
from backend.app.main import AppRole, create_app
from backend.app.prices_container import PricesContainer
from backend.app.repositories.candle_repository import Series
from backend.tests.conftest import HandClock
from backend.tests.support.told_candles import told_candle

QUERY = {"symbol": "BTC/USDT", "interval": "1m"}


@pytest.fixture
async def prices(
    settings: Settings, database_url: str, clock: HandClock
) -> AsyncIterator[PricesContainer]:
    container = PricesContainer(settings, database_url, clock)
    series = Series("binance", "BTC/USDT", CandleInterval.M1)

    async def nothing(_session: object) -> None:
        """Let it be written."""

    told = [told_candle(clock() - timedelta(minutes=n)) for n in range(5)]
    await container.market.candle_history.keep(series, told, nothing)
    yield container
    await container.stop()


@pytest.fixture
async def prices_client(prices: PricesContainer) -> AsyncIterator[AsyncClient]:
    transport = ASGITransport(app=create_app(AppRole.PRICES, prices), client=("127.0.0.1", 50000))
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_both_roles_answer_the_same_candles(
    prices_client: AsyncClient, client: AsyncClient
) -> None:
    alone = await prices_client.get("/candles", params=QUERY)
    together = await client.get("/api/v1/candles", params=QUERY)

    assert alone.status_code == 200
    assert alone.headers["content-type"] == "application/json"
    assert len(alone.json()["items"]) == 5
    assert together.json() == alone.json()


async def test_the_document_form_has_metadata_and_data(prices_client: AsyncClient) -> None:
    answer = await prices_client.get("/candles/document", params={**QUERY, "limit": 2})

    assert answer.json()["metadata"]["exchange"] == "binance"
    assert len(answer.json()["data"]) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"interval": "2m"},
        {"interval": "1M"},
        {"limit": "0"},
        {"limit": "1501"},
        {"limit": "many"},
        {"from": "yesterday"},
        {"from": "2026-11-21T11:00:00"},
        {"from": "2026-11-21T13:00:00Z", "to": "2026-11-21T12:00:00Z"},
        {"cursor": "7x"},
        {"symbol": ""},
        {"symbol": "A" * 42},
        {"exchange": "nosuch"},
        {"colour": "green"},
    ],
)
async def test_what_cannot_be_asked_is_422(
    prices_client: AsyncClient, wrong: dict[str, str]
) -> None:
    answer = await prices_client.get("/candles", params={**QUERY, **wrong})

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["symbol", "interval"])
async def test_symbol_and_interval_have_to_be_said(prices_client: AsyncClient, name: str) -> None:
    rest = {key: value for key, value in QUERY.items() if key != name}

    assert (await prices_client.get("/candles", params=rest)).status_code == 422


async def test_an_unknown_symbol_is_404_with_what_looks_like_it(
    prices_client: AsyncClient,
) -> None:
    answer = await prices_client.get("/candles", params={**QUERY, "symbol": "BTCUSD"})

    assert answer.status_code == 404
    assert answer.json()["code"] == "symbol-unknown"
    assert answer.json()["near"] == ["BTC/USDT"]
