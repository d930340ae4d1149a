"""What the spot markets commit is told once: in candles, on channels, in notifications."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text

from backend.app.candle_numbers import Trade as CandleTrade
from backend.app.container import Container
from backend.app.repositories.venue_feed_repository import VenueFeedRepository
from backend.app.services.market.candle_builder import Taken
from backend.app.services.venue.feed_news import NOTIFIED_AT_ONCE_MAX, TOLD_AT_ONCE_MAX
from backend.app.services.venue.replay import replay
from backend.app.services.venue.spot_markets import SPOT_SHARD, ShardMarkets
from backend.app.services.venue.venue_feed import ENTRIES_PER_STEP_MAX, Candles, VenueFeed
from backend.app.venue.commands import MoveFunds, NewOrder
from backend.app.venue.orders import Side
from backend.tests.support.spot import Trader, trader
from backend.tests.support.venue import led, running
from backend.tests.support.webhooks import rows, webhook

CANDLES = "/api/v1/candles"


@pytest.fixture(autouse=True)
async def market(services: Container) -> AsyncIterator[None]:
    async with running(services.engines[SPOT_SHARD]) as engine:
        await led(engine)
        yield
    # Whatever was told follows from the journal.
    assert (await replay(services.database, SPOT_SHARD)).difference is None


@pytest.fixture
async def alice(client: AsyncClient, services: Container) -> Trader:
    return await trader(client, services, "alice", BTC="10", USDT="100000")


@pytest.fixture
async def bob(client: AsyncClient, services: Container) -> Trader:
    return await trader(client, services, "bob", USDT="10000000", BTC="1")


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


async def test_an_owner_hears_how_every_order_goes_on(
    services: Container, alice: Trader, bob: Trader
) -> None:
    placed = await alice.place(side="sell", price="60000", quantity="0.2", client_order_id="mine")
    await all_told(services)
    await bob.place(price="60000", quantity="0.1")
    await all_told(services)
    await bob.place(price="60000", quantity="0.1")
    await all_told(services)

    channel = f"orders:{alice.who.user_id}"
    first, second, third = await told(services, channel)
    [order] = first["orders"]
    assert order == {name: value for name, value in placed.items() if name != "http"}
    assert [
        [(order["id"], order["status"]) for order in message["orders"]]
        for message in (first, second, third)
    ] == [
        [(placed["id"], "open")],
        [(placed["id"], "partially_filled")],
        [(placed["id"], "filled")],
    ]
    assert [fill["quantity"] for fill in second["fills"]] == ["0.10000"]
    fills = await alice.get("/api/v1/fills")
    assert [*third["fills"], *second["fills"]] == fills.json()["items"]


@pytest.mark.parametrize("way", ["cancel", "cancel all", "self-trade prevention", "trigger"])
async def test_an_owner_hears_what_no_trade_tells_of(
    services: Container, alice: Trader, bob: Trader, way: str
) -> None:
    await alice.place(side="sell", price="60000", quantity="0.1")
    await alice.place(side="sell", price="61000", quantity="0.1")
    await bob.place(price="60000", quantity="0.05")
    stop = await bob.place(type="stop_limit", price="50000", stop_price="61000", quantity="0.1")
    rests = await bob.place(price="55000", quantity="0.1")
    await all_told(services)
    if way == "cancel":
        await bob.cancel(rests["id"])
    elif way == "cancel all":
        await bob.delete("/api/v1/orders")
    elif way == "self-trade prevention":
        await bob.place(
            side="sell", price="55000", quantity="0.05", self_trade_prevention="cancel_maker"
        )
    else:
        await alice.place(price="61000", quantity="0.1")

    await all_told(services)

    last = (await told(services, f"orders:{bob.who.user_id}"))[-1]
    states = {order["id"]: order["status"] for order in last["orders"]}
    assert {
        "cancel": states == {rests["id"]: "cancelled"},
        "cancel all": states == {rests["id"]: "cancelled", stop["id"]: "cancelled"},
        "self-trade prevention": states.get(rests["id"]) == "cancelled",
        "trigger": states.get(stop["id"]) == "open",
    }[way], states


async def test_nobody_hears_of_anothers_orders(
    services: Container, alice: Trader, bob: Trader
) -> None:
    hers = await alice.place(side="sell", price="60000", quantity="0.2")
    his = await bob.place(price="60000", quantity="0.1")

    await all_told(services)

    for who, own in ((alice, hers), (bob, his)):
        [message] = await told(services, f"orders:{who.who.user_id}")
        assert [order["id"] for order in message["orders"]] == [own["id"]]
        assert {fill["order_id"] for fill in message["fills"]} == {own["id"]}


async def test_a_filled_order_is_a_notification_of_its_owner(
    services: Container, alice: Trader, bob: Trader
) -> None:
    await alice.place(side="sell", price="60000", quantity="0.2")
    his = await bob.place(price="60000", quantity="0.1", client_order_id="bobs-own")

    await all_told(services)
    await all_told(services)

    [listed] = (await bob.get("/api/v1/notifications")).json()["items"]
    assert listed["kind"] == "order_filled"
    assert listed["facts"] == {
        "id": his["id"],
        "client_order_id": "bobs-own",
        "symbol": "BTC/USDT",
        "side": "buy",
        "type": "limit",
        "executed_quantity": "0.10000",
        "executed_quote_quantity": "6000",
        "average_price": "60000",
    }
    # Hers is filled in part only.
    assert (await alice.get("/api/v1/notifications")).json()["items"] == []


async def test_a_webhook_of_its_owner_is_told_of_a_filled_order(
    services: Container, alice: Trader, bob: Trader
) -> None:
    for each in (alice, bob):
        await webhook(services, each.who, "https://webhook.invalid/", kinds=["order_filled"])
    await alice.place(side="sell", price="60000", quantity="0.2")
    await bob.place(price="60000", quantity="0.1")

    await all_told(services)

    [delivery] = await rows(
        services.database,
        "SELECT user_id, kind FROM webhook_deliveries JOIN webhooks ON webhooks.id = webhook_id",
    )
    assert (delivery.user_id, delivery.kind) == (bob.who.user_id, "order_filled")


async def test_who_has_gone_meanwhile_is_told_nothing_and_stops_nobody(
    services: Container, alice: Trader, bob: Trader
) -> None:
    await alice.place(side="sell", price="60000", quantity="0.1")
    await bob.place(price="60000", quantity="0.1")
    async with services.database.transaction() as session:
        await session.execute(text("DELETE FROM users WHERE username = 'alice'"))

    await all_told(services)

    assert await told(services, f"orders:{alice.who.user_id}") == []
    assert len(await told(services, f"orders:{bob.who.user_id}")) == 1


async def test_where_a_thousand_trade_each_is_told_a_little(
    services: Container, alice: Trader, bob: Trader
) -> None:
    for _ in range(3):
        await alice.place(side="sell", price="60000", quantity="0.1")
        await bob.place(price="60000", quantity="0.1")
    async with services.database.snapshot() as session:
        repository = VenueFeedRepository(session, SPOT_SHARD)
        span = await repository.span(0, 100, 100)
        assert span is not None
        trades = await repository.trades(0, 100)

        orders = await repository.orders(span, 3, 100)
        fills = await repository.fills(trades, 4, 100)

    assert [(each.orders, each.filled) for each in orders] == [(3, 3)] * 2
    assert len({each.order.account_id for each in orders}) == 2
    assert sorted(each.fill.trade_id for each in fills) == [2, 2, 3, 3]


async def test_what_is_filled_by_the_hundred_is_summed_up(
    services: Container, alice: Trader, bob: Trader
) -> None:
    sells = [{"side": "sell", "price": "60000", "quantity": "0.001"}] * 65
    for _ in range(2):
        await alice.place_all(*sells)
    await all_told(services)
    await bob.place(price="60000", quantity="0.13")

    await all_told(services)

    first, second = await told(services, f"orders:{alice.who.user_id}")
    assert [len(first["orders"]), first["more"]] == [TOLD_AT_ONCE_MAX, True]
    assert [len(second["orders"]), len(second["fills"]), second["more"]] == [100, 100, True]
    [trades] = await told(services, "trades:BTC/USDT")
    assert (len(trades["trades"]), trades["more"]) == (100, True)
    listed = (await alice.get("/api/v1/notifications", limit=100)).json()["items"]
    assert len(listed) == NOTIFIED_AT_ONCE_MAX + 1
    assert [each["facts"]["orders"] for each in listed if "orders" in each["facts"]] == [110]


async def test_a_book_is_told_when_it_has_changed(
    client: AsyncClient, services: Container, alice: Trader
) -> None:
    await alice.place(side="sell", price="60000", quantity="0.2")
    await all_told(services)
    rest = (await client.get("/api/v1/markets/BTCUSDT/book", params={"limit": 20})).json()
    [rests] = await told(services, "book:BTC/USDT")
    far = await alice.place(
        side="sell", type="stop_limit", price="50000", stop_price="55000", quantity="0.1"
    )
    await all_told(services)

    await alice.delete("/api/v1/orders")
    await all_told(services)

    assert rests == rest
    assert far["status"] == "waiting"
    assert await told(services, "book:BTC/USDT") == [
        rest,
        {"symbol": "BTC/USDT", "bids": [], "asks": []},
    ]


class Dying(Exception):
    """The process ends here."""


class DyingCandles:
    """Takes trades as they should be, and then the process dies, as often as it is told to."""

    def __init__(self, services: Container, deaths: int) -> None:
        self._builder = services.market.candle_builder
        self._deaths = deaths

    async def take(self, trades: Sequence[CandleTrade]) -> Taken:
        taken = await self._builder.take(trades)
        if self._deaths:
            self._deaths -= 1
            raise Dying
        return taken


def feed_of(services: Container, candles: Candles | None = None) -> VenueFeed:
    return VenueFeed(
        database=services.database,
        markets=ShardMarkets(services.database, services.clock),
        desk=services.engines[SPOT_SHARD],
        candles=candles or services.market.candle_builder,
        announcer=services.live,
        now=services.clock,
    )


async def ended_in(services: Container) -> tuple[object, ...]:
    counted = await rows(
        services.database,
        "SELECT (SELECT count(*) FROM ticks), (SELECT max(trades) FROM candles),"
        " (SELECT count(*) FROM notification_events),"
        " (SELECT array_agg(channel || seq ORDER BY channel, seq) FROM channel_messages"
        "  WHERE channel !~ 'candles')",
    )
    return tuple(counted[0])


async def test_a_feed_that_dies_before_it_moves_on_tells_everything_once(
    services: Container, alice: Trader, bob: Trader
) -> None:
    await alice.place(side="sell", price="60000", quantity="0.1")
    await bob.place(price="60000", quantity="0.1")
    dying = feed_of(services, DyingCandles(services, deaths=2))
    for _ in range(2):
        with pytest.raises(Dying):
            await dying.step()
    assert await told(services, "trades:BTC/USDT") == []

    await dying.step()
    await feed_of(services).step()

    a, b = sorted(str(each.who.user_id) for each in (alice, bob))
    assert await ended_in(services) == (
        *(1, 1, 2),
        [
            *("book:BTC/USDT1", f"notifications:{a}1", f"notifications:{b}1"),
            *(f"orders:{a}1", f"orders:{b}1", "trades:BTC/USDT1"),
        ],
    )


async def test_two_feeds_at_once_tell_everything_once(
    services: Container, alice: Trader, bob: Trader
) -> None:
    feeds = [feed_of(services) for _ in range(4)]
    for _ in range(3):
        await alice.place(side="sell", price="60000", quantity="0.1")
        await bob.place(price="60000", quantity="0.1")
        await asyncio.gather(*(each.step() for each in feeds))

    ticks, _, notified, _ = await ended_in(services)

    assert (ticks, notified) == (3, 6)
    for channel in ("trades:BTC/USDT", f"orders:{alice.who.user_id}"):
        assert len(await told(services, channel)) == 3


async def test_what_was_missed_in_a_long_stop_is_told_step_by_step(
    services: Container, alice: Trader, bob: Trader
) -> None:
    engine, market = services.engines[SPOT_SHARD], await services.orders._markets.named("BTCUSDT")
    for number in range(ENTRIES_PER_STEP_MAX + 20):
        who, side = ((alice, Side.SELL), (bob, Side.BUY))[number % 2]
        await engine.place(NewOrder(who.who.user_id, market.id, side, 6_000_000, 100))

    assert await services.feed.step()
    assert (await rows(services.database, "SELECT sequence FROM venue_feeds"))[0].sequence == (
        ENTRIES_PER_STEP_MAX
    )
    assert await told(services, "book:BTC/USDT") == []
    await all_told(services)

    filled = (await bob.get("/api/v1/notifications", limit=100)).json()["items"]
    assert sum(each["facts"].get("orders", 1) for each in filled) == 110
    trades = [
        each for message in await told(services, "trades:BTC/USDT") for each in message["trades"]
    ]
    assert len(trades) == len({each["id"] for each in trades}) == 100
    assert [len(each["bids"]) for each in await told(services, "book:BTC/USDT")] == [0]


async def test_accounts_that_are_no_users_are_told_nothing(services: Container) -> None:
    engine, market = services.engines[SPOT_SHARD], await services.orders._markets.named("BTCUSDT")
    stranger = 2**41 + 5
    for asset in ("BTC", "USDT"):
        await engine.carry_out([MoveFunds(stranger, asset, 10**18, f"first-{asset}")])
    for side in Side:
        await engine.place(NewOrder(stranger, market.id, side, 6_000_000, 100))

    await all_told(services)

    ticks, _, notified, channels = await ended_in(services)
    assert (ticks, notified) == (1, 0)
    assert channels == ["book:BTC/USDT1", "trades:BTC/USDT1"]
