"""Several processes' worth of the house on one database: orders reach whoever leads."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr

from backend.app.config import CacheSettings, Settings, VenueSettings
from backend.app.container import Container
from backend.app.database import Database
from backend.app.engine_container import EngineContainer
from backend.app.errors import ConfigurationError, Unavailable
from backend.app.main import AppRole, create_app
from backend.app.services.card_service import CARD_SHARD
from backend.app.services.venue.desk import Answer, Known, VenueDesk
from backend.app.services.venue.remote import MADE_NAME
from backend.app.services.venue.replay import replay
from backend.app.services.venue.spot_markets import SPOT_SHARD
from backend.app.venue.commands import NewOrder
from backend.app.venue.orders import Side
from backend.tests.support.databases import server_connection
from backend.tests.support.people import person
from backend.tests.support.spot import Trader
from backend.tests.support.valkey import Valkey
from backend.tests.support.venue import be_patient, led

pytestmark = pytest.mark.slow

CLIENTS = 20
SECONDS_MAX = 120
A_CARD, A_PAIR = 1, 5


@pytest.fixture
def settings(settings: Settings, valkey: Valkey) -> Settings:
    """Settings of processes that share a Redis, and of APIs that lead nothing."""
    return replace(
        settings,
        cache=CacheSettings(redis_url=SecretStr(valkey.url)),
        venue=VenueSettings(venue_engine_in_api=False),
    )


@asynccontextmanager
async def running(process: Any) -> AsyncIterator[Any]:
    be_patient(process.venue, process.settings.cache.redis_url.get_secret_value())
    await process.start()
    try:
        yield process
    finally:
        await process.stop()


@pytest.fixture
async def engine(settings: Settings, database_url: str) -> AsyncIterator[EngineContainer]:
    async with running(EngineContainer(settings, database_url)) as engine:
        for each in engine.venue.engines.values():
            await led(each)
        yield engine


@pytest.fixture
async def api(
    engine: EngineContainer, settings: Settings, database_url: str
) -> AsyncIterator[Container]:
    async with running(Container(settings, database_url)) as api:
        await reaches(api.venue.desk(CARD_SHARD), A_CARD)
        await reaches(api.venue.desk(SPOT_SHARD), A_PAIR)
        yield api


@pytest.fixture
async def client(api: Container) -> AsyncIterator[AsyncClient]:
    transport = ASGITransport(app=create_app(AppRole.API, api), client=("127.0.0.1", 50000))
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def reaches(desk: VenueDesk, instrument_id: int) -> None:
    """Wait until a book is told: whoever leads is known."""
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            try:
                await desk.depth(instrument_id, 1)
            except Unavailable:
                await asyncio.sleep(0.05)
            else:
                return


def order(name: str | None, side: Side = Side.BUY, price: int = 250) -> NewOrder:
    return NewOrder(1, 1, side, price, 1, name)


async def count(database_url: str, what: str = "count(*)") -> int:
    async with server_connection(database_url) as connection:
        return int(await connection.fetchval(f"SELECT {what} FROM orders"))


class Crowd:
    """Clients who place one order after the other through an API, and keep asking for each."""

    def __init__(self, desk: VenueDesk) -> None:
        self._desk = desk
        self.answered: dict[str, Answer] = {}
        self.is_going = True

    async def place(self) -> None:
        """Place orders until told to stop; what is not known or not done is asked again."""
        await asyncio.gather(*(self._client(number) for number in range(CLIENTS)))

    async def more(self, by: int) -> None:
        """Wait until so many more were answered."""
        enough = len(self.answered) + by
        async with asyncio.timeout(SECONDS_MAX):
            while len(self.answered) < enough:
                await asyncio.sleep(0.01)

    async def _client(self, number: int) -> None:
        placed = 0
        while self.is_going:
            placed += 1
            name = f"client{number}-{placed}"
            side = Side.BUY if number % 2 else Side.SELL
            self.answered[name] = await self._asked(order(name, side))

    async def _asked(self, order: NewOrder) -> Answer:
        while True:
            try:
                [answer] = await self._desk.carry_out([order])
            except Unavailable:
                await asyncio.sleep(0.05)
            else:
                return answer


@asynccontextmanager
async def crowd(api: Container) -> AsyncIterator[Crowd]:
    crowd = Crowd(api.venue.desk(CARD_SHARD))
    placing = asyncio.create_task(crowd.place())
    try:
        yield crowd
    finally:
        crowd.is_going = False
        async with asyncio.timeout(SECONDS_MAX):
            await placing


async def nothing_is_lost_or_double(crowd: Crowd, database: Database, database_url: str) -> None:
    async with server_connection(database_url) as connection:
        rows = await connection.fetch("SELECT id, client_order_id FROM orders")
    stored = {row["client_order_id"]: row["id"] for row in rows}
    answered = {name: each.id for name, each in crowd.answered.items() if isinstance(each, Known)}
    assert len(answered) == len(crowd.answered)
    assert answered == stored
    assert len(rows) == len(stored)
    assert (await replay(database, CARD_SHARD)).difference is None


async def test_cards_are_traded_at_a_process_that_leads_nothing(
    client: AsyncClient, api: Container, database_url: str
) -> None:
    alice, bob = await person(api, "alice"), await person(api, "bob")
    body = {"card_id": 1, "price": "2.50"}

    sold = await client.post(
        "/api/v1/cards/orders", json={**body, "side": "sell"}, headers=alice.headers
    )
    book = await client.get("/api/v1/cards/1/book", headers=alice.headers)
    bought = await client.post(
        "/api/v1/cards/orders",
        json={**body, "side": "buy", "client_order_id": "mine"},
        headers=bob.headers,
    )

    assert (sold.status_code, sold.json()["status"]) == (201, "open")
    # It needs a name to be placed once however often it arrives. Its owner gave none and sees none.
    assert sold.json()["client_order_id"] is None
    named = f"count(*) FILTER (WHERE client_order_id LIKE '{MADE_NAME}%')"
    assert await count(database_url, named) == 1
    assert book.json()["asks"] == [{"price": "2.50", "quantity": 1}]
    assert (bought.status_code, bought.json()["status"]) == (201, "filled")
    assert bought.json()["client_order_id"] == "mine"
    assert await count(database_url) == 2


async def test_spot_markets_and_wallets_are_served_there_alike(
    client: AsyncClient, api: Container
) -> None:
    trader = Trader(client, await person(api, "alice"))
    refused = await trader.post("/api/v1/orders", FAR_TOO_MUCH)
    await trader.deposit("USDT", "1000")

    placed = await trader.place(type="limit", price="100.00", quantity="1")
    cancelled = await trader.cancel(placed["id"])

    assert refused.status_code == 409
    assert refused.json()["type"].endswith("insufficient-funds")
    assert placed["status"] == "open"
    assert cancelled["status"] == "cancelled"


FAR_TOO_MUCH = {
    "symbol": "BTC/USDT",
    "side": "buy",
    "type": "limit",
    "price": "100.00",
    "quantity": "1",
}


async def test_a_leader_that_stops_answers_what_it_took_and_the_standby_goes_on(
    api: Container,
    engine: EngineContainer,
    settings: Settings,
    database: Database,
    database_url: str,
) -> None:
    async with running(EngineContainer(settings, database_url)), crowd(api) as orders:
        await orders.more(200)
        await engine.stop()
        await orders.more(200)

    await nothing_is_lost_or_double(orders, database, database_url)


async def test_a_leader_that_loses_its_database_loses_no_order_and_does_none_twice(
    api: Container, database: Database, database_url: str
) -> None:
    async with crowd(api) as orders:
        for _ in range(3):
            await orders.more(100)
            async with server_connection(database_url) as connection:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name LIKE '%engine%'"
                )
        await orders.more(100)

    await nothing_is_lost_or_double(orders, database, database_url)


async def test_a_redis_that_goes_and_comes_loses_no_order_and_doubles_none(
    api: Container, valkey: Valkey, database: Database, database_url: str
) -> None:
    async with crowd(api) as orders:
        for _ in range(2):
            await orders.more(100)
            valkey.kill()
            await asyncio.sleep(0.2)
            valkey.start()
        await orders.more(100)

    await nothing_is_lost_or_double(orders, database, database_url)


async def test_two_apis_with_engines_hand_orders_to_whichever_leads(
    settings: Settings, database: Database, database_url: str
) -> None:
    settings = replace(settings, venue=VenueSettings())
    async with running(Container(settings, database_url)) as one:
        await led(one.engines[CARD_SHARD])
        async with running(Container(settings, database_url)) as other:
            await reaches(other.venue.desk(CARD_SHARD), A_CARD)
            async with crowd(other) as orders:
                await orders.more(100)
                await one.stop()
                await orders.more(100)
            await led(other.engines[CARD_SHARD])

    await nothing_is_lost_or_double(orders, database, database_url)


async def test_an_engine_says_whether_it_is_well_and_nothing_else(engine: EngineContainer) -> None:
    transport = ASGITransport(app=create_app(AppRole.ENGINE, engine))
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        told = {
            path: (await client.get(path)).status_code
            for path in ("/healthz", "/readyz", "/docs", "/openapi.json", "/api/v1/cards")
        }
        engine.drain()
        draining = (await client.get("/readyz")).status_code

    assert told == {
        "/healthz": 200,
        "/readyz": 200,
        "/docs": 404,
        "/openapi.json": 404,
        "/api/v1/cards": 404,
    }
    assert draining == 503


def test_without_redis_neither_an_engine_nor_an_api_without_one_starts(
    settings: Settings, database_url: str
) -> None:
    settings = replace(settings, cache=CacheSettings())

    for build in (EngineContainer, Container):
        with pytest.raises(ConfigurationError, match="REDIS_URL is not set"):
            build(settings, database_url)
