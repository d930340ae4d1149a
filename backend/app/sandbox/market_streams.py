"""Binance's market streams: what each listener subscribed to, told a few times a second.

Each stream is worked out once, for all who listen. While nobody does, nothing runs.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from backend.app.errors import StrongroomError
from backend.app.exchanges.answers.base import OrderRefused, World
from backend.app.exchanges.answers.binance_market import INTERVALS_MS, NAMES
from backend.app.exchanges.answers.binance_streams import (
    aggregate_trade_event,
    book_ticker_event,
    candle_event,
    depth_event,
    mini_ticker_event,
    ticker_event,
    trade_event,
)
from backend.app.exchanges.market_values import Market, PublicTrade, Ticker
from backend.app.sandbox.watched_books import WatchedBook

ROUNDS_PER_SECOND: Final = 10
TRADES_A_ROUND_MAX: Final = 1_000
_TRADES_AT_FIRST: Final = 20
_NAME: Final = re.compile(r"([a-z0-9]+)@([a-zA-Z]+)(?:_([0-9a-zA-Z]+))?(?:@(?:100|1000)ms)?")
_ALL: Final = re.compile(r"!(ticker|miniTicker|bookTicker)(?:@arr)?")
_TICKERS: Final[Mapping[str, Callable[[Ticker], dict[str, Any]]]] = {
    "ticker": ticker_event,
    "miniTicker": mini_ticker_event,
    "bookTicker": book_ticker_event,
}
_TRADES: Final[Mapping[str, Callable[[Market, PublicTrade, int], dict[str, Any]]]] = {
    "trade": trade_event,
    "aggTrade": aggregate_trade_event,
}


class Listener(Protocol):
    """Who is told what a stream says."""

    def tell(self, stream: str, event: Any) -> None:
        """Take an event, without waiting."""


class _Stream(NamedTuple):
    """A stream, and how to find out what it has to say. `rounds` is how often it is asked."""

    rounds: int
    news: AsyncIterator[list[Any]]


class StreamUnknown(Exception):
    """There is no stream of that name."""


class MarketStreams:
    """Who listens to which stream."""

    def __init__(self, world: World, book_of: Callable[[str], WatchedBook]) -> None:
        self._world = world
        self._book_of = book_of
        self._listeners: defaultdict[str, set[Listener]] = defaultdict(set)
        self._streams: dict[str, _Stream] = {}
        self._telling: asyncio.Task[None] | None = None

    async def join(self, name: str, listener: Listener) -> None:
        """Tell a listener all that a stream says from the return of this call on.

        Raises:
            StreamUnknown: there is none of that name.
        """
        if name not in self._streams:
            begun = await self._stream(name)
            # Of two who began it at once, one stays: both were to hear what comes after.
            self._streams.setdefault(name, begun)
        self._listeners[name].add(listener)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    def leave(self, name: str, listener: Listener) -> None:
        """Tell a listener no more of a stream; what nobody listens to ends."""
        self._listeners[name].discard(listener)
        if not self._listeners[name]:
            del self._listeners[name]
            self._streams.pop(name, None)

    async def _tell(self) -> None:
        number = 0
        while self._streams:
            for name, stream in list(self._streams.items()):
                if number % stream.rounds == 0:
                    await self._tell_one(name, stream)
            number += 1
            await asyncio.sleep(1 / ROUNDS_PER_SECOND)

    async def _tell_one(self, name: str, stream: _Stream) -> None:
        events = await anext(stream.news)
        for listener in list(self._listeners.get(name, ())):
            for event in events:
                listener.tell(name, event)

    async def _stream(self, name: str) -> _Stream:
        everything = _ALL.fullmatch(name)
        if everything:
            return _Stream(ROUNDS_PER_SECOND, self._all_tickers(_TICKERS[everything[1]]))
        named = _NAME.fullmatch(name)
        if named is None:
            raise StreamUnknown
        try:
            market = NAMES.market(self._world, named[1].upper())
        except OrderRefused:
            raise StreamUnknown from None
        kind, interval = named[2], named[3]
        if kind == "kline" and interval in INTERVALS_MS:
            return _Stream(ROUNDS_PER_SECOND, self._candles(market, interval))
        if interval is None and kind in _TICKERS:
            return _Stream(ROUNDS_PER_SECOND, self._ticker(market, _TICKERS[kind]))
        # From now, not from the first round: a snapshot may be taken in between, and trades made.
        if interval is None and kind in _TRADES:
            return _Stream(1, self._trades(market, _TRADES[kind], await self._newest(market)))
        if interval is None and kind == "depth":
            book = self._book_of(market.symbol)
            return _Stream(1, self._depth(market, book, book.version))
        raise StreamUnknown

    async def _ticker(
        self, market: Market, told: Callable[[Ticker], dict[str, Any]]
    ) -> AsyncIterator[list[Any]]:
        while True:
            try:
                yield [told(await self._world.ticker(market.symbol))]
            except StrongroomError:
                yield []

    async def _all_tickers(
        self, told: Callable[[Ticker], dict[str, Any]]
    ) -> AsyncIterator[list[Any]]:
        while True:
            try:
                markets = self._world.markets()
                yield [[told(await self._world.ticker(market.symbol)) for market in markets]]
            except StrongroomError:
                yield []

    async def _candles(self, market: Market, interval: str) -> AsyncIterator[list[Any]]:
        while True:
            now_ms = self._world.now_ms()
            candles = self._world.candles(market.symbol, INTERVALS_MS[interval], 1)
            yield [candle_event(market, interval, candle, now_ms) for candle in candles]

    async def _depth(
        self, market: Market, book: WatchedBook, version: int
    ) -> AsyncIterator[list[Any]]:
        while True:
            try:
                seen = await book.look()
            except StrongroomError:
                yield []
                continue
            now_ms = self._world.now_ms()
            changes = list(book.since(version))
            version = seen.version
            yield [depth_event(market, *change, now_ms) for change in changes]

    async def _trades(
        self,
        market: Market,
        told: Callable[[Market, PublicTrade, int], dict[str, Any]],
        last: int | None,
    ) -> AsyncIterator[list[Any]]:
        while True:
            if last is None:
                last = await self._newest(market)
                yield []
                continue
            try:
                trades = await self._trades_since(market, last)
            except StrongroomError:
                yield []
                continue
            now_ms = self._world.now_ms()
            last = trades[0].trade_id if trades else last
            yield [told(market, trade, now_ms) for trade in reversed(trades)]

    async def _newest(self, market: Market) -> int | None:
        """Return the number of the last trade, 0 before the first; None if that is not known."""
        try:
            trades = await self._world.public_trades(market.symbol, 1)
        except StrongroomError:
            return None
        return trades[0].trade_id if trades else 0

    async def _trades_since(self, market: Market, last: int) -> list[PublicTrade]:
        """Return the trades after one, the newest first; a few are asked for, then many."""
        for most in (_TRADES_AT_FIRST, TRADES_A_ROUND_MAX):
            trades = await self._world.public_trades(market.symbol, most)
            news = [trade for trade in trades if trade.trade_id > last]
            if len(news) < len(trades) or len(trades) < most:
                return news
        return news
