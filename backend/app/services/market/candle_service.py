"""Reading candles. The bytes of an answer come from PostgreSQL as they are, and are remembered.

Available and fast, slightly late: a span that is over may be half a minute old, one that still
grows a second.
"""

import json
from datetime import datetime, timedelta
from typing import Final

from backend.app.candle_interval import CandleInterval
from backend.app.candle_numbers import SYNTHETIC, VENUE
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.errors import CandleRangeRefused, SymbolUnknown
from backend.app.exchanges.registry import resolve
from backend.app.repositories.candle_repository import (
    DOCUMENT_MEMBERS,
    PLAIN_MEMBERS,
    CandleMembers,
    CandlePage,
    CandleRepository,
    Series,
)
from backend.app.schemas.candle_schemas import CandleQuery
from backend.app.services.cache_service import CacheService
from backend.app.services.market.candle_retention import OLDEST
from backend.app.services.market.symbol_names import NEAR_SYMBOLS_MAX, NameBook, SymbolNames

SPAN_MAX: Final = timedelta(days=3660)
CACHED_CANDLES_MAX: Final = 300
"""Longer pages would not fit into the cache."""
CLOSED_TTL_SECONDS: Final = 30
GROWING_TTL_SECONDS: Final = 1
SYMBOLS_TTL_SECONDS: Final = 60
SYMBOLS_MAX: Final = 1_000
_ASSET_CLASS: Final = "spot"


class CandleService:
    """Candles for whoever asks."""

    def __init__(
        self,
        *,
        database: Database,
        cache: CacheService,
        names: SymbolNames,
        exchange: str,
        now: Clock,
    ) -> None:
        self._database = database
        self._cache = cache
        self._names = names
        self._exchange = exchange
        self._now = now

    async def page(self, asked: CandleQuery) -> bytes:
        """Return the latest candles of a span, as JSON.

        Raises:
            ExchangeUnknown: there is no such exchange.
            SymbolUnknown: it has no such symbol; `near` names those that look like it.
            CandleRangeRefused: the span is empty or too long.
        """
        series = await self._series(asked)
        page = await self._read(series, asked, PLAIN_MEMBERS)
        return b'{"items":[' + page + b"}"

    async def document(self, asked: CandleQuery) -> bytes:
        """Return the same as a document: what the series is of, then its data.

        Raises:
            ExchangeUnknown: there is no such exchange.
            SymbolUnknown: it has no such symbol; `near` names those that look like it.
            CandleRangeRefused: the span is empty or too long.
        """
        series = await self._series(asked)
        page = await self._read(series, asked, DOCUMENT_MEMBERS)
        metadata = {
            "exchange": series.exchange,
            "symbol": series.symbol,
            "interval": series.interval.value,
            "asset_class": _ASSET_CLASS,
        }
        return b'{"metadata":' + json.dumps(metadata).encode() + b',"data":[' + page + b"}"

    async def _series(self, asked: CandleQuery) -> Series:
        exchange = self._exchange
        if asked.exchange is not None:
            own = asked.exchange.lower() in {VENUE, SYNTHETIC}
            exchange = asked.exchange.lower() if own else resolve(asked.exchange)
        return Series(
            exchange, await self._symbol(exchange, asked.interval, asked.symbol), asked.interval
        )

    async def _symbol(self, exchange: str, interval: CandleInterval, name: str) -> str:
        kept = await self._names.book()
        symbol = kept.find(name)
        if symbol is not None:
            return symbol
        # Made-up ones, and those somebody fetched the history of, are in no list of symbols.
        own = await self._own_names(exchange, interval)
        symbol = own.find(name)
        if symbol is not None:
            return symbol
        near = dict.fromkeys([*own.near(name), *kept.near(name)])
        raise SymbolUnknown(
            "There are no candles of that symbol.", facts={"near": list(near)[:NEAR_SYMBOLS_MAX]}
        )

    async def _own_names(self, exchange: str, interval: CandleInterval) -> NameBook:
        async def load() -> bytes:
            async with self._database.snapshot() as session:
                symbols = await CandleRepository(session).symbols(exchange, interval, SYMBOLS_MAX)
            return json.dumps(symbols).encode()

        key = f"candles:symbols:{exchange}:{interval}"
        return NameBook(json.loads(await self._cache.through(key, SYMBOLS_TTL_SECONDS, load)))

    async def _read(self, series: Series, asked: CandleQuery, members: CandleMembers) -> bytes:
        start, end = self._span(asked)

        async def load() -> bytes:
            async with self._database.snapshot() as session:
                page = await CandleRepository(session).page(
                    series, start, end, asked.limit, members
                )
            return _rest_of(page)

        if asked.limit > CACHED_CANDLES_MAX:
            return await load()
        is_closed = end <= series.interval.opening(self._now())
        # What still grows has no end of its own: everybody asks for the same.
        until = end.timestamp() if is_closed else "now"
        key = (
            f"candles:{members.trades}:{series.exchange}:{series.symbol}:{series.interval}"
            f":{start.timestamp()}:{until}:{asked.limit}"
        )
        ttl_seconds = CLOSED_TTL_SECONDS if is_closed else GROWING_TTL_SECONDS
        return await self._cache.through(key, ttl_seconds, load)

    def _span(self, asked: CandleQuery) -> tuple[datetime, datetime]:
        # Nothing opens later, so whatever is asked of the future is asked of now.
        latest = self._now() + CandleInterval.D1.length
        end = min(asked.until or latest, latest)
        if asked.since is not None and not asked.since < (asked.until or latest):
            raise CandleRangeRefused("`from` has to be before `to`, and not in the future.")
        if asked.since is not None and (asked.until or latest) - asked.since > SPAN_MAX:
            raise CandleRangeRefused("`from` and `to` may be ten years apart.")
        start = max(asked.since or OLDEST, OLDEST)
        if asked.cursor is not None:
            end = min(end, asked.cursor)
        return start, max(start, end)


def _rest_of(page: CandlePage) -> bytes:
    cursor = "null"
    if page.has_older and page.first_open_time is not None:
        cursor = f'"{page.first_open_time:%Y-%m-%dT%H:%M:%SZ}"'
    return f'{page.items}],"next_cursor":{cursor}'.encode()
