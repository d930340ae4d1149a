"""What a stream of a book tells fits the snapshot that was taken beside it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, cast

from backend.app.exchanges.answers.base import World
from backend.app.exchanges.market_values import Level, Market, OrderBook
from backend.app.sandbox.market_streams import MarketStreams
from backend.app.sandbox.watched_books import WatchedBook

DEPTH = "btcusdt@depth@100ms"
HUNDREDTH = Decimal("0.01")
MARKET = Market("BTC", "USDT", HUNDREDTH, HUNDREDTH, HUNDREDTH, Decimal(9_000), Decimal(5))
SOON_SECONDS = 10


class OneBook:
    """A world of one market, whose best bid is as it is told."""

    def __init__(self) -> None:
        self.amount = Decimal(1)

    def markets(self) -> list[Market]:
        return [MARKET]

    def now_ms(self) -> int:
        return 1_000

    async def order_book(self, symbol: str, limit: int) -> OrderBook:
        return OrderBook((Level(Decimal(99), self.amount),), (), at_ms=1_000)


class Ear:
    def __init__(self) -> None:
        self.told: asyncio.Queue[dict[str, Any]] = asyncio.Queue(100)

    def tell(self, stream: str, event: Any) -> None:
        self.told.put_nowait(event)


@asynccontextmanager
async def listening(streams: MarketStreams, *ears: Ear) -> AsyncIterator[None]:
    for ear in ears:
        streams.join(DEPTH, ear)
    try:
        async with asyncio.timeout(SOON_SECONDS):
            yield
    finally:
        for ear in ears:
            streams.leave(DEPTH, ear)


async def snapshot_then_change(world: OneBook, book: WatchedBook) -> int:
    taken = await book.look()
    world.amount += 1
    await book.look()
    return taken.version


async def test_no_change_is_lost_between_subscribing_and_the_first_round() -> None:
    world, ear = OneBook(), Ear()
    book = WatchedBook(cast("World", world), MARKET.symbol)
    streams = MarketStreams(cast("World", world), lambda symbol: book)

    async with listening(streams, ear):
        version = await snapshot_then_change(world, book)
        event = await ear.told.get()

    assert event["U"] == event["u"] == version + 1
    assert event["b"] == [["99", "2"]]


async def test_no_change_before_subscribing_is_told() -> None:
    world, ear = OneBook(), Ear()
    book = WatchedBook(cast("World", world), MARKET.symbol)
    streams = MarketStreams(cast("World", world), lambda symbol: book)
    await snapshot_then_change(world, book)

    async with listening(streams, ear):
        version = await snapshot_then_change(world, book)
        event = await ear.told.get()

    assert event["U"] == version + 1
