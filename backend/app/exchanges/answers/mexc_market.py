"""MEXC's public answers: bare objects and lists with Binance's field names.

Source: https://www.mexc.com/api-docs/spot-v3 (Market Data Endpoints).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from backend.app.exchanges.answers.asking import candles_between, moment_in
from backend.app.exchanges.answers.base import Call, Handler
from backend.app.exchanges.answers.rendering import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    MONTH_MS,
    WEEK_MS,
    SymbolNames,
    change,
    change_ratio,
    interval_in,
    places,
    whole_in,
)
from backend.app.exchanges.market_values import Level, Market, Side, Ticker
from backend.app.money import plain

NAMES: Final = SymbolNames()

_INTERVALS: Final = {
    "1m": MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "60m": HOUR_MS,
    "4h": 4 * HOUR_MS,
    "8h": 8 * HOUR_MS,
    "1d": DAY_MS,
    "1W": WEEK_MS,
    "1M": MONTH_MS,
}
_CANDLES_DEFAULT: Final = 500
_CANDLES_MAX: Final = 500
_TRADES_DEFAULT: Final = 500
_TRADES_MAX: Final = 1_000
_LEVELS_DEFAULT: Final = 100
_LEVELS_MAX: Final = 5_000
_QUOTE_MAX: Final = "4000000"
_TRADABLE: Final = "1"


def _ping(_: Call) -> Any:
    return {}


def _time(call: Call) -> Any:
    return {"serverTime": call.world.now_ms()}


def _exchange_info(call: Call) -> Any:
    return {
        "timezone": "CST",
        "serverTime": call.world.now_ms(),
        "rateLimits": [],
        "exchangeFilters": [],
        "symbols": [_symbol(market) for market in _asked_markets(call)],
    }


def _symbol(market: Market) -> dict[str, Any]:
    amount_places, price_places = places(market.step_size), places(market.tick_size)
    return {
        "symbol": NAMES.name(market),
        "status": _TRADABLE,
        "baseAsset": market.base,
        "baseAssetPrecision": amount_places,
        "quoteAsset": market.quote,
        "quotePrecision": price_places,
        "quoteAssetPrecision": price_places,
        "baseCommissionPrecision": amount_places,
        "quoteCommissionPrecision": price_places,
        "orderTypes": ["LIMIT", "MARKET"],
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "quoteAmountPrecision": plain(market.min_notional),
        "baseSizePrecision": plain(market.min_amount),
        "permissions": ["SPOT"],
        "filters": [],
        "maxQuoteAmount": _QUOTE_MAX,
        "makerCommission": plain(market.maker_fee),
        "takerCommission": plain(market.taker_fee),
        "quoteAmountPrecisionMarket": plain(market.min_notional),
        "maxQuoteAmountMarket": _QUOTE_MAX,
        "fullName": market.base,
        "tradeSideType": 1,
    }


def _contract_detail(_: Call) -> Any:
    return {"success": True, "code": 0, "data": []}


async def _tickers(call: Call) -> Any:
    rows = [_ticker(await call.world.ticker(market.symbol)) for market in _asked_markets(call)]
    return rows[0] if call.query.get("symbol") else rows


def _ticker(ticker: Ticker) -> dict[str, Any]:
    return {
        "symbol": NAMES.name(ticker.market),
        "priceChange": plain(change(ticker)),
        "priceChangePercent": plain(change_ratio(ticker)),
        "prevClosePrice": plain(ticker.open),
        "lastPrice": plain(ticker.last),
        "bidPrice": plain(ticker.bid),
        "bidQty": plain(ticker.bid_amount),
        "askPrice": plain(ticker.ask),
        "askQty": plain(ticker.ask_amount),
        "openPrice": plain(ticker.open),
        "highPrice": plain(ticker.high),
        "lowPrice": plain(ticker.low),
        "volume": plain(ticker.volume),
        "quoteVolume": plain(ticker.quote_volume),
        "openTime": ticker.at_ms - DAY_MS,
        "closeTime": ticker.at_ms,
        "count": None,
    }


def _asked_markets(call: Call) -> Sequence[Market]:
    asked = NAMES.market_or_none(call.world, call.query.get("symbol"))
    return call.world.markets() if asked is None else (asked,)


def _klines(call: Call) -> Any:
    interval_ms = interval_in(_INTERVALS, call.query.get("interval"))
    candles = candles_between(
        call,
        NAMES.market(call.world, call.query.get("symbol")),
        interval_ms,
        start_ms=moment_in(call.query.get("startTime")),
        end_ms=moment_in(call.query.get("endTime")),
        most=whole_in(call.query.get("limit"), _CANDLES_DEFAULT, _CANDLES_MAX),
    )
    return [
        [
            candle.open_ms,
            plain(candle.open),
            plain(candle.high),
            plain(candle.low),
            plain(candle.close),
            plain(candle.volume),
            candle.open_ms + interval_ms,
            plain(candle.quote_volume),
        ]
        for candle in candles
    ]


async def _depth(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("symbol"))
    limit = max(1, whole_in(call.query.get("limit"), _LEVELS_DEFAULT, _LEVELS_MAX))
    book = await call.world.order_book(market.symbol, limit)
    return {
        "lastUpdateId": book.at_ms,
        "bids": _levels(book.bids),
        "asks": _levels(book.asks),
        "timestamp": book.at_ms,
    }


def _levels(levels: Sequence[Level]) -> list[list[str]]:
    return [[plain(level.price), plain(level.amount)] for level in levels]


async def _agg_trades(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("symbol"))
    limit = max(1, whole_in(call.query.get("limit"), _TRADES_DEFAULT, _TRADES_MAX))
    return [
        {
            # MEXC keeps its trades' numbers to itself.
            "a": None,
            "f": None,
            "l": None,
            "p": plain(trade.price),
            "q": plain(trade.amount),
            "T": trade.at_ms,
            "m": trade.side is Side.SELL,
            "M": True,
        }
        for trade in await call.world.public_trades(market.symbol, limit)
    ]


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", "/api/v3/ping"): _ping,
    ("GET", "/api/v3/time"): _time,
    ("GET", "/api/v3/exchangeInfo"): _exchange_info,
    ("GET", "/api/v1/contract/detail"): _contract_detail,
    ("GET", "/api/v3/ticker/24hr"): _tickers,
    ("GET", "/api/v3/klines"): _klines,
    ("GET", "/api/v3/depth"): _depth,
    ("GET", "/api/v3/aggTrades"): _agg_trades,
}
