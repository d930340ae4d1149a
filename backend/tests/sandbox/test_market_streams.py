"""A stream tells what comes after it was joined: nothing is missed, and nothing old is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, cast

from starlette.websockets import WebSocket

from backend.app.exchanges.answers.base import World
from backend.app.exchanges.market_values import Level, Market, OrderBook, PublicTrade, Side
from backend.app.sandbox.binance_sockets import BinanceSockets
from backend.app.sandbox.market_streams import MarketStreams
from backend.app.sandbox.watched_books import WatchedBook

DEPTH = "btcusdt@depth@100ms"
TRADES = "btcusdt@trade"
HUNDREDTH = Decimal("0.01")
MARKET = Market("BTC", "USDT", HUNDREDTH, HUNDREDTH, HUNDREDTH, Decimal(9_000), Decimal(5))
SOON_SECONDS = 60


class OneBook:
    """A world of one market, whose best bid and whose trades are as they are told."""

    def __init__(self) -> None:
        self.amount = Decimal(1)
        self.trades: list[PublicTrade] = []

    def markets(self) -> list[Market]:
        return [MARKET]

    def now_ms(self) -> int:
        return 1_000

    async def order_book(self, symbol: str, limit: int) -> OrderBook:
        return OrderBook((Level(Decimal(99), self.amount),), (), at_ms=1_000)

    async def public_trades(self, symbol: str, limit: int) -> list[PublicTrade]:
        return self.trades[::-1][:limit]

    def trade(self) -> int:
        number = len(self.trades) + 1
        made = PublicTrade(number, Decimal(99), Decimal(1), Side.BUY, at_ms=1_000)
        self.trades.append(made)
        return number


class Ear:
    def __init__(self) -> None:
        self.told: asyncio.Queue[dict[str, Any]] = asyncio.Queue(100)

    def tell(self, stream: str, event: Any) -> None:
        self.told.put_nowait(event)


@asynccontextmanager
async def listening(streams: MarketStreams, ear: Ear, name: str = DEPTH) -> AsyncIterator[None]:
    await streams.join(name, ear)
    try:
        async with asyncio.timeout(SOON_SECONDS):
            yield
    finally:
        streams.leave(name, ear)


def streams_of(world: OneBook) -> tuple[MarketStreams, WatchedBook]:
    book = WatchedBook(cast("World", world), MARKET.symbol)
    return MarketStreams(cast("World", world), lambda symbol: book), book


async def snapshot_then_change(world: OneBook, book: WatchedBook) -> int:
    taken = await book.look()
    world.amount += 1
    await book.look()
    return taken.version


async def test_no_change_is_lost_between_subscribing_and_the_first_round() -> None:
    world, ear = OneBook(), Ear()
    streams, book = streams_of(world)

    async with listening(streams, ear):
        version = await snapshot_then_change(world, book)
        event = await ear.told.get()

    assert event["U"] == event["u"] == version + 1
    assert event["b"] == [["99", "2"]]


async def test_no_change_before_subscribing_is_told() -> None:
    world, ear = OneBook(), Ear()
    streams, book = streams_of(world)
    await snapshot_then_change(world, book)

    async with listening(streams, ear):
        version = await snapshot_then_change(world, book)
        event = await ear.told.get()

    assert event["U"] == version + 1


async def test_of_trades_those_after_the_subscription_are_told_and_no_others() -> None:
    world, ear = OneBook(), Ear()
    streams, _ = streams_of(world)
    world.trade()

    async with listening(streams, ear, TRADES):
        # The first round has not been yet.
        news = [world.trade(), world.trade()]
        told = [(await ear.told.get())["t"] for _ in news]

    assert told == news


async def test_the_first_trade_of_a_market_is_told() -> None:
    world, ear = OneBook(), Ear()
    streams, _ = streams_of(world)

    async with listening(streams, ear, TRADES):
        number = world.trade()

        assert (await ear.told.get())["t"] == number


class LetIn:
    """A connection of which one thing is known: what happens when its client is let in."""

    path_params: Mapping[str, str] = {"names": TRADES}

    def __init__(self, happens: Callable[[], Any]) -> None:
        self._happens = happens
        self.heard: asyncio.Queue[str] = asyncio.Queue()

    async def accept(self) -> None:
        self._happens()

    async def receive_text(self) -> str:
        return await asyncio.Future()

    async def send_text(self, text: str) -> None:
        self.heard.put_nowait(text)

    async def close(self, code: int) -> None:
        pass


async def test_a_stream_that_the_address_names_is_joined_before_its_client_is_let_in() -> None:
    world = OneBook()
    streams, _ = streams_of(world)
    nobody: Any = None
    client = LetIn(world.trade)
    serving = asyncio.create_task(
        BinanceSockets(nobody, nobody, streams).serve_market(cast("WebSocket", client))
    )

    async with asyncio.timeout(SOON_SECONDS):
        told = json.loads(await client.heard.get())
    serving.cancel()
    await asyncio.wait([serving])

    assert told["t"] == 1
