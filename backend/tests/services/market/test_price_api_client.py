"""The Price API away, slow or not itself: whoever asks learns it soon, and nobody gets the key."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from backend.app.config import MarketSettings
from backend.app.container import Container
from backend.app.errors import ConfigurationError
from backend.app.services.market.price_api_client import (
    ANSWER_SECONDS_MAX,
    PriceApiAway,
    PriceApiClient,
)
from backend.app.services.market.price_sources import price_sources
from backend.tests.support.hostile_exchange import Received, reply, serving
from backend.tests.support.settings import settings_for_tests
from backend.tests.support.valkey import eventually

KEY = "an internal key of at least thirty-two characters"
GOOD = (
    b'{"prices":[{"symbol":"BTC/USDT","price":"64000.1","source":"binance",'
    b'"as_of":"2026-11-21T12:00:00.000Z","age_ms":5,"stale":false,"stale_because":null}],'
    b'"missing":[]}'
)
Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def asking(
    answer: Answer, answer_seconds_max: float = 60.0
) -> AsyncIterator[tuple[PriceApiClient, Received]]:
    async with serving(answer) as (origin, received):
        # A busy machine takes its time.
        client = PriceApiClient(
            f"{origin}/base",
            SecretStr(KEY),
            lambda: 0.0,
            connect_seconds_max=60.0,
            answer_seconds_max=answer_seconds_max,
        )
        try:
            yield client, received
        finally:
            await client.close()


def saying(answer: bytes) -> Answer:
    async def say(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return say


async def test_all_prices_are_asked_for_with_the_key() -> None:
    async with asking(saying(reply(GOOD))) as (client, received):
        found = await client.latest()

    assert [price.price for price in found.prices] == ["64000.1"]
    assert received.requests[0].startswith(b"GET /base/internal/price?limit=200 ")
    assert f"X-Internal-Key: {KEY}".encode() in received.requests[0]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nConnection: close\r\n\r\n" + b"x" * 300_000,
        b"no HTTP at all\r\n\r\n",
        b"",
        reply(b"<html>"),
        reply(b'{"prices":[{"symbol":"BTC/USDT","price":1}],"missing":[]}'),
        reply(GOOD.replace(b'"binance"', b"null")),
    ],
)
async def test_what_is_not_a_list_of_prices_is_none(answer: bytes) -> None:
    async with asking(saying(answer)) as (client, _):
        with pytest.raises(PriceApiAway):
            await client.latest()


async def test_the_key_follows_no_redirect() -> None:
    async with serving(saying(reply(GOOD))) as (elsewhere, stolen):
        moved = (
            f"HTTP/1.1 302 Found\r\nLocation: {elsewhere}/internal/price\r\n"
            "Content-Length: 0\r\nConnection: close\r\n\r\n"
        )
        async with asking(saying(moved.encode())) as (client, _):
            with pytest.raises(PriceApiAway):
                await client.latest()

    assert stolen.requests == []


async def test_one_that_hangs_is_waited_for_two_seconds_and_after_three_times_not_at_all() -> None:
    async def hang(_head: bytes, _writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with asking(hang, answer_seconds_max=0.2) as (client, received):
        asked = await asyncio.gather(*(client.latest() for _ in range(3)), return_exceptions=True)
        await eventually(lambda: received.connections == 3)
        with pytest.raises(PriceApiAway):
            await client.latest()

    assert [type(each) for each in asked] == [PriceApiAway] * 3
    assert received.connections == 3
    usual = PriceApiClient("http://prices:8100", SecretStr(KEY))
    assert usual._answer_seconds_max == ANSWER_SECONDS_MAX == 2


@pytest.mark.parametrize(
    "url", ["prices:8100", "ftp://prices", "http://user:secret@prices", "http://", "http://p/?a=b"]
)
def test_an_address_that_is_none_refuses_the_start(url: str) -> None:
    with pytest.raises(ConfigurationError, match="PRICE_API_URL") as refused:
        PriceApiClient(url, SecretStr(KEY))

    assert "secret" not in str(refused.value)


def test_without_a_key_the_start_is_refused_and_the_command_that_makes_one_told() -> None:
    with pytest.raises(ConfigurationError, match=r"INTERNAL_API_KEY.*token_urlsafe"):
        PriceApiClient("http://prices:8100", None)


@pytest.mark.parametrize("fallback", ["binance", "nowhere", "Binance "])
def test_a_fallback_that_is_none_refuses_the_start(fallback: str) -> None:
    with pytest.raises(ConfigurationError, match="PRICE_FALLBACK_EXCHANGE"):
        price_sources(MarketSettings(_env_file=None, price_fallback_exchange=fallback))


def test_a_fallback_is_known_by_its_other_names() -> None:
    settings = MarketSettings(_env_file=None, price_fallback_exchange="Gate.io")

    assert price_sources(settings) == ("binance", "gate")


def test_a_container_reads_prices_and_does_not_fetch_them_unless_told() -> None:
    url = "postgresql://nobody:nothing@127.0.0.1:1/none"
    reading = Container(settings_for_tests(), url)
    keeping = Container(settings_for_tests(), url, keeps_market=True)

    def names(container: Container) -> set[str]:
        return {worker.name for worker in container._workers._workers}

    assert "price-refresher" not in names(reading)
    assert {worker.name for worker in reading.market.workers()} <= names(keeping)
