"""CCXT without keys: it knows paths, parameters and how markets are listed; the sending is ours.

As in `ccxt_client.py`, `fetch` is replaced, here by one that sends through `Outbound` and hands
back the answer as JSON in which every fraction is still the text the exchange wrote. CCXT's own
number type is text too, so its parsers make no float of what an exchange said.
"""

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from backend.app.exchanges.ccxt_client import moved
from backend.app.exchanges.ccxt_loader import load_base_error, load_exchange_class
from backend.app.exchanges.market_data import MarketFault, MarketSourceUnavailable
from backend.app.exchanges.outbound import Fault, NoAnswer, Outbound, OutboundRequest
from backend.app.exchanges.reasons import Reason, Refusal
from backend.app.exchanges.registry import ExchangeId, classify_refusal, dialect

# A refusal that comes with status 200 is short; what is longer is not read a second time.
_REFUSAL_BYTES_MAX: Final = 64 * 1024

# How CCXT's parsers stumble over an answer that is not as documented.
_STUMBLES: Final = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)

_SILENCES: Final = {
    Fault.TOO_SLOW: MarketFault.SLOW,
    # No place in time: it is our own line that is full.
    Fault.CROWDED: MarketFault.SLOW,
    Fault.REDIRECT: MarketFault.NONSENSE,
    Fault.TOO_LARGE: MarketFault.NONSENSE,
    Fault.UNDECODABLE: MarketFault.NONSENSE,
}
_REFUSALS: Final = {
    Reason.RATE_LIMITED: MarketFault.THROTTLED,
    Reason.EXCHANGE_UNAVAILABLE: MarketFault.AWAY,
}

Fetch = Callable[..., Coroutine[Any, Any, Any]]


@dataclass(frozen=True, slots=True)
class _Spot:
    """What makes CCXT list the spot markets, all of them and nothing else."""

    method: str = "fetch_markets"
    params: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    unasked: Mapping[str, Any] = field(default_factory=dict)
    """Calls CCXT would add for the sake of margin trading, and the answer it is given instead."""


_SPOT_TYPES: Final = {"fetchMarkets": {"types": ["spot"]}}
_SPOT: Final[Mapping[str, _Spot]] = {
    # Who may trade a market fills most of Binance's list, and nobody here asks.
    ExchangeId.BINANCE: _Spot(params={"showPermissionSets": "false"}, options=_SPOT_TYPES),
    ExchangeId.OKX: _Spot(options=_SPOT_TYPES),
    ExchangeId.BYBIT: _Spot(options=_SPOT_TYPES),
    ExchangeId.HTX: _Spot(options={"fetchMarkets": {"types": {"spot": True}}}),
    ExchangeId.KUCOIN: _Spot(
        options={"uta": False, "fetchMarkets": {"types": ["spot"], "fetchTickersFees": False}}
    ),
    # To CCXT a market of Gate that lends is open even while its spot trading is halted.
    ExchangeId.GATE: _Spot(options=_SPOT_TYPES, unasked={"publicMarginGetCurrencyPairs": []}),
    ExchangeId.BITGET: _Spot(
        options={**_SPOT_TYPES, "uta": False}, unasked={"publicMarginGetV2MarginCurrencies": {}}
    ),
    # MEXC's general method asks for contracts too, at another host.
    ExchangeId.MEXC: _Spot(method="fetch_spot_markets"),
}


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A client that was never used, and the root of what it raises."""

    client: Any
    base_error: type[Exception]


class _Answered(Exception):
    """An answer on its way past CCXT."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class CcxtPublic:
    """Asks exchanges without a key. `base_urls` says where one is not where CCXT thinks it is."""

    def __init__(self, outbound: Outbound, base_urls: Mapping[str, str]) -> None:
        self._outbound = outbound
        self._base_urls = base_urls
        self._loaded: dict[str, _Loaded] = {}
        self._loading = asyncio.Lock()

    async def ask(self, exchange: str, method: str, params: Mapping[str, str]) -> Any:
        """Make one public call by CCXT's name for it and return the parsed answer.

        Raises:
            MarketSourceUnavailable: no usable answer came.
        """
        client = await self._client(exchange)
        return await self._guarded(exchange, getattr(client, method)(dict(params)))

    async def markets(self, exchange: str) -> list[Any]:
        """Return the spot markets as CCXT unifies them, every number in them text.

        Raises:
            MarketSourceUnavailable: no usable answer came.
        """
        spot, client = _SPOT[exchange], await self._client(exchange)
        answer = await self._answer(exchange, client, spot.method, dict(spot.params))
        client.fetch = _answering(answer)

        # Thousands of markets take CCXT longer than anybody should wait for the loop.
        def list_them() -> Any:
            return asyncio.run(getattr(client, spot.method)(dict(spot.params)))

        listed = await self._guarded(exchange, asyncio.to_thread(list_them))
        if not isinstance(listed, list):
            raise MarketSourceUnavailable(exchange, MarketFault.NONSENSE)
        return listed

    async def candles(
        self, exchange: str, market: Mapping[str, Any], interval: str, start_ms: int, limit: int
    ) -> Any:
        """Ask for candles as CCXT asks for them, and return the answer as it came.

        CCXT's reading takes an answer without candles for no candles, and drops half of each row.

        Raises:
            MarketSourceUnavailable: no usable answer came.
        """
        client = await self._client(exchange)
        symbol = market["symbol"]
        client.markets = {symbol: client.safe_market_structure(dict(market))}
        return await self._answer(
            exchange, client, "fetch_ohlcv", symbol, interval, start_ms, limit
        )

    async def _answer(self, exchange: str, client: Any, method: str, *args: Any) -> Any:
        """Return the answer to what a unified method asks, and leave CCXT before it reads it."""
        send = client.fetch

        async def leave(*sent: Any) -> Any:
            raise _Answered(await send(*sent))

        client.fetch = leave
        try:
            await self._guarded(exchange, getattr(client, method)(*args))
        except _Answered as answered:
            return answered.value
        return None

    async def _guarded(self, exchange: str, asked: Awaitable[Any]) -> Any:
        try:
            return await asked
        except (self._loaded[exchange].base_error, *_STUMBLES):
            raise MarketSourceUnavailable(exchange, MarketFault.NONSENSE) from None

    async def _client(self, exchange: str) -> Any:
        """Return a fresh copy: CCXT keeps notes in its clients, and many ask at once."""
        loaded = self._loaded.get(exchange) or await self._load(exchange)
        client = copy.copy(loaded.client)
        client.options = copy.deepcopy(client.options)
        return client

    async def _load(self, exchange: str) -> _Loaded:
        async with self._loading:
            if exchange not in self._loaded:
                self._loaded[exchange] = await asyncio.to_thread(self._build, exchange)
            return self._loaded[exchange]

    def _build(self, exchange: str) -> _Loaded:
        # `session=None` given in so many words: CCXT then opens none of its own.
        client = load_exchange_class(exchange)({"enableRateLimit": False, "session": None})
        if exchange in self._base_urls:
            client.urls["api"] = moved(client.urls["api"], self._base_urls[exchange])
        client.options = {**client.options, **_SPOT[exchange].options}
        client.number = str
        client.fetch = self._fetch(exchange, client)
        for method, answer in _SPOT[exchange].unasked.items():
            setattr(client, method, _answering(answer))
        return _Loaded(client, load_base_error())

    def _fetch(self, exchange: str, client: Any) -> Fetch:
        async def fetch(
            url: str, method: str = "GET", headers: Any = None, body: str | None = None
        ) -> Any:
            sent = client.prepare_request_headers(headers)
            # Nothing that is public changes anything, so nothing but GET leaves from here.
            if method != "GET" or body:
                raise MarketSourceUnavailable(exchange, MarketFault.NONSENSE)
            try:
                answer = await self._outbound.send(exchange, OutboundRequest("GET", url, sent))
            except NoAnswer as silence:
                fault = _SILENCES.get(silence.fault, MarketFault.AWAY)
                raise MarketSourceUnavailable(exchange, fault) from None
            return _read(exchange, answer.status, answer.body)

        return fetch


def _answering(answer: Any) -> Fetch:
    async def answered(*_: Any) -> Any:
        return answer

    return answered


def _read(exchange: str, status: int, body: bytes) -> Any:
    text = body.decode("utf-8", errors="replace")
    if status != HTTPStatus.OK:
        raise _refused(exchange, classify_refusal(exchange, status, text))
    try:
        # Words that are no JSON, such as NaN, spoil their own row and not the whole answer.
        value = json.loads(text, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        raise MarketSourceUnavailable(exchange, MarketFault.NONSENSE) from None
    refusal = dialect(exchange).classify(status, text) if len(body) < _REFUSAL_BYTES_MAX else None
    if refusal is not None:
        raise _refused(exchange, refusal)
    return value


def _refused(exchange: str, refusal: Refusal) -> MarketSourceUnavailable:
    return MarketSourceUnavailable(exchange, _REFUSALS.get(refusal.reason, MarketFault.REFUSED))
