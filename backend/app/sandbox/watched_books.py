"""Books as streams tell them: every change has a number, and a snapshot says which it has seen.

Whoever looks at a book, a request or a stream, looks through here, so that the two agree.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, NamedTuple

from backend.app.exchanges.answers.base import World
from backend.app.exchanges.market_values import Level, OrderBook

LEVELS_MAX: Final = 1_000
CHANGES_KEPT_MAX: Final = 100
_GONE: Final = Decimal(0)


class BookChange(NamedTuple):
    """The levels that are other than in the version before; an amount of 0 is a level gone."""

    version: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


class WatchedBook:
    """One market's book, and how it came to be what it is."""

    def __init__(self, world: World, symbol: str) -> None:
        self._world = world
        self._symbol = symbol
        self._seen: OrderBook | None = None
        self._changes: deque[BookChange] = deque(maxlen=CHANGES_KEPT_MAX)
        # What was read later must not be seen earlier.
        self._turn = asyncio.Lock()

    @property
    def version(self) -> int:
        """The version seen last; 0 while nobody has looked."""
        return 0 if self._seen is None else self._seen.version

    async def look(self) -> OrderBook:
        """Return the book as it is now, with its version."""
        async with self._turn:
            book = await self._world.order_book(self._symbol, LEVELS_MAX)
            if self._seen is None:
                # Later than any version before a restart.
                self._seen = replace(book, version=book.at_ms)
            else:
                self._seen = self._compared(self._seen, book)
            return self._seen

    def since(self, version: int) -> Iterator[BookChange]:
        """Yield the changes after a version, as far as they are kept."""
        return (change for change in self._changes if change.version > version)

    def _compared(self, seen: OrderBook, book: OrderBook) -> OrderBook:
        bids = tuple(_changed(seen.bids, book.bids))
        asks = tuple(_changed(seen.asks, book.asks))
        if not bids and not asks:
            return replace(book, version=seen.version)
        version = seen.version + 1
        self._changes.append(BookChange(version, bids, asks))
        return replace(book, version=version)


class WatchedWorld:
    """The world, its books looked at through `WatchedBook`: all else in it is as it is."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._books = {
            market.symbol: WatchedBook(world, market.symbol) for market in world.markets()
        }

    def book(self, symbol: str) -> WatchedBook:
        """Return the book of a market."""
        return self._books[self._world.market(symbol).symbol]

    async def order_book(self, symbol: str, limit: int) -> OrderBook:
        """Return the best levels, with their version.

        Raises:
            OrderRefused: unknown_symbol.
        """
        seen = await self.book(symbol).look()
        most = max(1, limit)
        return replace(seen, bids=seen.bids[:most], asks=seen.asks[:most])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)


def _changed(before: Sequence[Level], now: Sequence[Level]) -> Iterator[Level]:
    known = {level.price: level.amount for level in before}
    for level in now:
        if known.pop(level.price, None) != level.amount:
            yield level
    for price in known:
        yield Level(price, _GONE)
