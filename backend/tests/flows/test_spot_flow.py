"""Two people trade over HTTP: both hear of it, a candle shows it, a notification stays."""

import asyncio
from dataclasses import replace
from typing import Any

from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr

from backend.app.config import CacheSettings, Settings, VenueSettings
from backend.app.engine_container import EngineContainer
from backend.app.main import AppRole, create_app
from backend.tests.support.live_house import SECONDS_MAX, LiveClient, LiveHouse, live_house
from backend.tests.support.people import person
from backend.tests.support.spot import Trader, trader
from backend.tests.support.valkey import Valkey
from backend.tests.support.venue import be_patient, led

BOOK = "book:BTC/USDT"
CANDLE = {"exchange": "strongroom", "symbol": "BTCUSDT", "interval": "1m"}


async def heard(client: LiveClient, channel: str, **what: Any) -> dict[str, Any]:
    """Return the next message of a channel that says this of an order; others are passed over."""
    while True:
        frame = await client.next()
        assert frame["type"] == "message", frame
        if frame["channel"] == channel and (
            not what or any(what.items() <= order.items() for order in frame["data"]["orders"])
        ):
            return frame


async def first_to_lead(*houses: LiveHouse) -> LiveHouse:
    """Return the house whose engine leads the spot markets, once one does."""
    waiting = {asyncio.create_task(led(house.services.engines[1])): house for house in houses}
    done, rest = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    return waiting[done.pop()]


async def latest(client: LiveClient, *channels: str, book_asks: str) -> dict[str, Any]:
    """Return the last message of each channel, once each has told and so much is asked for.

    A book may be told before that, of what was placed before anybody listened.
    """
    told: dict[str, Any] = {}
    while not told.keys() >= {*channels, BOOK} or [
        each["quantity"] for each in told[BOOK]["asks"]
    ] != [book_asks]:
        frame = await client.next()
        told[frame["channel"]] = frame["data"]
    return told


async def begun(client: LiveClient, channel: str) -> dict[str, Any]:
    """Subscribe, and return the state that is shown first."""
    assert (await client.ask("subscribe", channel=channel))["type"] == "subscribed"
    snapshot = await client.next()
    assert snapshot["type"] == "snapshot"
    return dict(snapshot["data"])


async def two_traders(house: LiveHouse, client: AsyncClient) -> tuple[Trader, Trader]:
    for engine in house.services.engines.values():
        await led(engine)
    alice = await trader(client, house.services, "alice", BTC="1")
    return alice, await trader(client, house.services, "bob", USDT="100000")


async def test_two_people_trade_and_both_hear_of_it(settings: Settings, database_url: str) -> None:
    async with live_house(database_url, settings) as house:
        app = create_app(AppRole.API, house.services)
        async with AsyncClient(transport=ASGITransport(app=app), base_url="http://test") as client:
            alice, bob = await two_traders(house, client)
            rests = await alice.place(side="sell", price="60000", quantity="0.2")
            async with await house.client(alice.who) as hers, await house.client(bob.who) as his:
                waiting = await begun(hers, "orders")
                nothing = await begun(his, "orders")
                await his.subscribe("trades:BTCUSDT")
                # The last: from here on it may tell of what was placed before, at any moment.
                book = await begun(his, "book:btcusdt")
                taken = await bob.place(price="60000", quantity="0.1")
                sold = await heard(hers, "orders", id=rests["id"], status="partially_filled")
                told = await latest(his, "orders", "trades:BTC/USDT", book_asks="0.10000")
            page = await client.get("/api/v1/candles", params=CANDLE)
            listed = (await bob.get("/api/v1/notifications")).json()["items"]
            hers_listed = (await alice.get("/api/v1/notifications")).json()["items"]

    assert [order["id"] for order in waiting["orders"]] == [rests["id"]]
    assert nothing == {"orders": [], "more": False}
    assert book["asks"] == [{"price": "60000.00", "quantity": "0.20000"}]
    assert [(fill["order_id"], fill["liquidity"]) for fill in sold["data"]["fills"]] == [
        (rests["id"], "maker")
    ]
    assert told.keys() == {"orders", "trades:BTC/USDT", "book:BTC/USDT"}
    assert [(each["id"], each["status"]) for each in told["orders"]["orders"]] == [
        (taken["id"], "filled")
    ]
    assert [each["quantity"] for each in told["trades:BTC/USDT"]["trades"]] == ["0.10000"]
    assert told["book:BTC/USDT"]["asks"] == [{"price": "60000.00", "quantity": "0.10000"}]
    assert [candle["close"] for candle in page.json()["items"]] == ["60000"]
    assert [(each["kind"], each["facts"]["id"]) for each in listed] == [
        ("order_filled", taken["id"])
    ]
    assert hers_listed == []


async def test_who_comes_back_hears_what_was_missed_at_another_process(
    settings: Settings, database_url: str, valkey: Valkey
) -> None:
    async with (
        live_house(database_url, settings, redis_url=valkey.url) as one,
        live_house(database_url, settings, redis_url=valkey.url) as other,
    ):
        leading = await first_to_lead(one, other)
        listening = other if leading is one else one
        app = create_app(AppRole.API, leading.services)
        async with AsyncClient(transport=ASGITransport(app=app), base_url="http://test") as client:
            alice = await trader(client, leading.services, "alice", BTC="1")
            async with await listening.client(alice.who) as hers:
                await begun(hers, "orders")
                first = await alice.place(side="sell", price="60000", quantity="0.2")
                seen = await heard(hers, "orders", id=first["id"])
            missed = await alice.cancel(first["id"])
            async with await listening.client(alice.who) as again:
                await again.ask("subscribe", channel="orders", after=seen["seq"])
                came = await heard(again, "orders", id=first["id"])

    assert missed["status"] == "cancelled"
    assert (came["seq"], came["data"]["orders"][0]["status"]) == (seen["seq"] + 1, "cancelled")


async def test_who_listens_hears_of_what_an_engine_apart_has_committed(
    settings: Settings, database_url: str, valkey: Valkey
) -> None:
    settings = replace(
        settings,
        cache=CacheSettings(redis_url=SecretStr(valkey.url)),
        venue=VenueSettings(venue_engine_in_api=False),
    )
    engine = EngineContainer(settings, database_url)
    be_patient(engine.venue, valkey.url)
    await engine.start()
    try:
        async with live_house(database_url, settings) as house:
            services = house.services
            app = create_app(AppRole.API, services)
            transport = ASGITransport(app=app)
            async with AsyncClient(transport=transport, base_url="http://test") as client:
                alice = Trader(client, await person(services, "alice"))
                await reached(alice, "deposits", asset="BTC", amount="1")
                async with await house.client(alice.who) as hers:
                    await begun(hers, "orders")
                    book = await begun(hers, "book:BTC/USDT")
                    placed = await alice.place(side="sell", price="60000", quantity="0.1")
                    told = await latest(hers, "orders", book_asks="0.10000")
    finally:
        await engine.stop()

    assert book["asks"] == []
    # On its way to the engine it had a name, which its owner never gave.
    assert placed["client_order_id"] is None
    assert told["orders"]["orders"][0]["client_order_id"] is None
    assert [order["id"] for order in told["orders"]["orders"]] == [placed["id"]]
    assert told["book:BTC/USDT"]["asks"] == [{"price": "60000.00", "quantity": "0.10000"}]


async def reached(trader: Trader, way: str, **what: str) -> None:
    """Move test funds, as soon as it is known who leads."""
    async with asyncio.timeout(SECONDS_MAX):
        while (await trader.transfer(way, what["asset"], what["amount"], "one")).status_code != 201:
            await asyncio.sleep(0.05)


async def test_nobody_hears_on_anothers_channel_of_orders(
    settings: Settings, database_url: str
) -> None:
    async with live_house(database_url, settings) as house:
        alice = await person(house.services, "alice")
        async with await house.client(alice) as hers:
            refused = [
                await hers.ask("subscribe", channel=named)
                for named in ("orders:1", f"orders:{alice.user_id}", "trades:", "book:PIKACHU")
            ]

    assert [each["code"] for each in refused] == [
        *["channel-unknown"] * 3,
        "symbol-unknown",
    ]
