"""Public market data of the eight exchanges, without a key: quotes, markets and candles.

CCXT asks, `Outbound` carries, and what comes back is read as text and checked. A price that cannot
be believed is told as such and never mended. Requests here have places and breakers of their own,
so prices never wait for a check of a key, nor the other way round.

Source: docs/ARCHITECTURE.md, "Market data from exchanges".
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import yarl

from backend.app.clock import Clock, utc_now
from backend.app.enums import Environment
from backend.app.errors import ConfigurationError
from backend.app.exchanges.ccxt_profiles import CCXT_PROFILES
from backend.app.exchanges.ccxt_public import CcxtPublic
from backend.app.exchanges.market_candles import CANDLES, INTERVALS, NotACandle
from backend.app.exchanges.market_data import (
    BadQuote,
    BadQuoteReason,
    IntervalNotOffered,
    MarketFault,
    MarketListing,
    MarketNotListed,
    MarketSourceUnavailable,
    Quote,
    SourceCandle,
)
from backend.app.exchanges.market_listings import MarketLists
from backend.app.exchanges.market_tickers import TICKERS, NotTickers
from backend.app.exchanges.outbound import Outbound, OutboundLimits
from backend.app.exchanges.registry import SUPPORTED, resolve

SYMBOLS_MAX: Final = 500
"""Symbols in one question for quotes."""
CANDLES_MAX: Final = 1000
"""Candles in one question."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
# Binance's list of markets is the longest of the eight: some 10 MB.
_BODY_BYTES_MAX: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class MarketSourceSettings:
    """Which world prices come from. `base_urls` moves an exchange elsewhere, with any path."""

    mode: Environment
    sandbox_url: str
    base_urls: Mapping[str, str] = field(default_factory=dict)
    limits: OutboundLimits = field(
        default_factory=lambda: OutboundLimits(body_bytes_max=_BODY_BYTES_MAX)
    )
    question_seconds: float = 10.0


class MarketSource:
    """Asks exchanges for what they tell everybody. Built once; many may ask at the same time."""

    def __init__(
        self,
        settings: MarketSourceSettings,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        base_urls = addresses(settings)
        live = {name: profile.live_origin for name, profile in CCXT_PROFILES.items()}
        origins = {
            name: frozenset({str(yarl.URL(base_urls.get(name, live[name])).origin())})
            for name in SUPPORTED
        }
        self._question_seconds = settings.question_seconds
        self._clock = clock
        self._outbound = Outbound(origins, settings.limits, monotonic)
        self._ccxt = CcxtPublic(self._outbound, base_urls)
        self._lists = MarketLists(self._ccxt.markets, monotonic)

    async def quotes(self, exchange: str, symbols: Collection[str]) -> dict[str, Quote | BadQuote]:
        """Return, for every symbol asked for, its last price or why it has none.

        Raises:
            ExchangeUnknown: the name is none of the eight.
            MarketSourceUnavailable: the exchange gave no usable answer at all.
            ValueError: more than `SYMBOLS_MAX` symbols.
        """
        exchange, wanted = resolve(exchange), sorted(set(symbols))
        if len(wanted) > SYMBOLS_MAX:
            raise ValueError(f"at most {SYMBOLS_MAX} symbols in one question")
        async with self._question(exchange):
            listed = await self._lists.known(exchange)
            names = {listed[symbol].exchange_name: symbol for symbol in wanted if symbol in listed}
            told = await self._told(exchange, names) if names else {}
        unlisted = BadQuoteReason.NOT_LISTED
        return {symbol: told.get(symbol) or BadQuote(symbol, unlisted) for symbol in wanted}

    async def markets(self, exchange: str) -> tuple[MarketListing, ...]:
        """Return the spot markets of an exchange by symbol, as of within the last hour.

        Raises:
            ExchangeUnknown: the name is none of the eight.
            MarketSourceUnavailable: the exchange gave no usable answer.
        """
        exchange = resolve(exchange)
        async with self._question(exchange):
            listed = await self._lists.fresh(exchange)
        return tuple(listed[symbol] for symbol in sorted(listed))

    async def candles(
        self, exchange: str, symbol: str, interval: str, start: datetime, limit: int
    ) -> tuple[SourceCandle, ...]:
        """Return the candles that open from `start` on, within `limit` intervals, oldest first.

        The span is the same at every exchange, so the next question begins `limit` intervals
        later, however many candles came: where one is missing, the exchange has none.

        Raises:
            ExchangeUnknown: the name is none of the eight.
            MarketNotListed: the exchange has no such market.
            IntervalNotOffered: it has no candles of this interval.
            MarketSourceUnavailable: no usable answer, or one with a candle that cannot be.
            ValueError: `limit` is not between 1 and `CANDLES_MAX`, or `start` has no time zone.
        """
        exchange = resolve(exchange)
        if not 1 <= limit <= CANDLES_MAX or start.tzinfo is None:
            raise ValueError(f"1 to {CANDLES_MAX} candles, from a time with its zone")
        if interval not in INTERVALS or interval in CANDLES[exchange].lacks:
            raise IntervalNotOffered(exchange, interval)
        async with self._question(exchange):
            market = (await self._lists.known(exchange)).get(symbol)
            if market is None:
                raise MarketNotListed(exchange, symbol)
            return await self._span(exchange, market, interval, start, limit)

    async def close(self) -> None:
        """Stop loading and close every connection."""
        await self._lists.close()
        await self._outbound.close()

    async def _told(self, exchange: str, names: Mapping[str, str]) -> dict[str, Quote | BadQuote]:
        call, asked_at = TICKERS[exchange], self._clock()
        answer = await self._ccxt.ask(exchange, call.method, call.asks(names))
        try:
            read = call.read(answer, names, asked_at, self._clock())
            return {told.symbol: told for told in read}
        except NotTickers:
            raise MarketSourceUnavailable(exchange, MarketFault.NONSENSE) from None

    async def _span(
        self, exchange: str, market: MarketListing, interval: str, start: datetime, limit: int
    ) -> tuple[SourceCandle, ...]:
        if not _EPOCH <= start <= self._clock():
            # Nothing traded then, and dates at the ends of time cannot be reckoned with.
            return ()
        length, page_max = INTERVALS[interval], CANDLES[exchange].page_max
        # The first candle opens on the grid, at or after the start.
        first = start + (_EPOCH - start) % length
        found: dict[datetime, SourceCandle] = {}
        for done in range(0, limit, page_max):
            begins, count = first + done * length, min(page_max, limit - done)
            if begins > self._clock():
                break
            page = await self._page(exchange, market, interval, begins, count)
            ends = begins + count * length
            found |= {at: candle for at, candle in page.items() if begins <= at < ends}
        return tuple(found[at] for at in sorted(found))

    async def _page(
        self, exchange: str, market: MarketListing, interval: str, begins: datetime, count: int
    ) -> dict[datetime, SourceCandle]:
        as_ccxt = {
            "id": market.exchange_name,
            "symbol": market.symbol,
            "base": market.base,
            "quote": market.quote,
            "type": "spot",
            "spot": True,
            "contract": False,
        }
        begins_ms = (begins - _EPOCH) // _MILLISECOND
        answer = await self._ccxt.candles(exchange, as_ccxt, interval, begins_ms, count)
        try:
            return CANDLES[exchange].read(answer, INTERVALS[interval])
        except NotACandle:
            raise MarketSourceUnavailable(exchange, MarketFault.NONSENSE) from None

    @asynccontextmanager
    async def _question(self, exchange: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._question_seconds):
                yield
        except TimeoutError:
            raise MarketSourceUnavailable(exchange, MarketFault.SLOW) from None


def addresses(settings: MarketSourceSettings) -> dict[str, str]:
    """Return, per exchange, where it is to be asked, if not where CCXT would ask it.

    Raises:
        ConfigurationError: an address is none, or a real exchange's although this is the sandbox.
    """
    sandboxed = settings.mode is Environment.SANDBOX
    named = {resolve(name): url for name, url in settings.base_urls.items()}
    found = {}
    for exchange in SUPPORTED:
        if exchange in named:
            found[exchange] = _base_url(f"{exchange.upper()}_BASE_URL", named[exchange], sandboxed)
        elif sandboxed:
            url = f"{settings.sandbox_url}/{exchange}"
            found[exchange] = _base_url("SANDBOX_URL", url, sandboxed)
    return found


def _base_url(setting: str, url: str, sandboxed: bool) -> str:
    try:
        base = yarl.URL(url)
        base.origin()
    except ValueError:
        base = yarl.URL()
    bare = base.host and not (base.user or base.password or base.query_string or base.fragment)
    if base.scheme not in ("http", "https") or not bare:
        raise ConfigurationError(f"{setting}: expected http(s)://host[:port][/path]")
    if sandboxed and _is_real(base.host or ""):
        raise ConfigurationError(f"{setting}: this is a real exchange; see EXCHANGE_MODE")
    return str(base).rstrip("/")


def _is_real(host: str) -> bool:
    # api1.binance.com and data-api.binance.vision are Binance as much as api.binance.com.
    known = {
        _domain(yarl.URL(profile.live_origin).host or "") for profile in CCXT_PROFILES.values()
    }
    return _domain(host) in {*known, *SUPPORTED}


def _domain(host: str) -> str:
    """Return `binance` for api.binance.com; nothing for a name without a dot."""
    return host.lower().rstrip(".").rpartition(".")[0].rpartition(".")[2]
