"""Binance's public answers: markets, tickers, candles, book and trades.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
"""

from collections.abc import Callable, Mapping
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
    mean_price,
    whole_in,
)
from backend.app.exchanges.market_values import Candle, Market, Side, Ticker
from backend.app.money import plain

NAMES: Final = SymbolNames()
INTERVALS_MS: Final[Mapping[str, int]] = {
    "1s": 1_000,
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "4h": 4 * HOUR_MS,
    "6h": 6 * HOUR_MS,
    "8h": 8 * HOUR_MS,
    "12h": 12 * HOUR_MS,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": WEEK_MS,
    "1M": MONTH_MS,
}
_PRECISION: Final = 8


def _exchange_info(call: Call) -> Any:
    one = NAMES.market_or_none(call.world, call.query.get("symbol"))
    return {
        "timezone": "UTC",
        "serverTime": call.world.now_ms(),
        "rateLimits": [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": 6000,
            }
        ],
        "exchangeFilters": [],
        "symbols": [_symbol(market) for market in ([one] if one else call.world.markets())],
    }


def _symbol(market: Market) -> Any:
    return {
        "symbol": NAMES.name(market),
        "status": "TRADING",
        "baseAsset": market.base,
        "baseAssetPrecision": _PRECISION,
        "quoteAsset": market.quote,
        "quotePrecision": _PRECISION,
        "quoteAssetPrecision": _PRECISION,
        "baseCommissionPrecision": _PRECISION,
        "quoteCommissionPrecision": _PRECISION,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _filters(market),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def _filters(market: Market) -> Any:
    tick, step, most = plain(market.tick_size), plain(market.step_size), plain(market.max_amount)
    least = plain(market.min_amount)
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": tick,
            "maxPrice": plain(market.tick_size * 10**9),
            "tickSize": tick,
        },
        {"filterType": "LOT_SIZE", "minQty": least, "maxQty": most, "stepSize": step},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": most, "stepSize": "0"},
        {
            "filterType": "NOTIONAL",
            "minNotional": plain(market.min_notional),
            "applyMinToMarket": True,
            "maxNotional": "9000000",
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
    ]


def _no_contracts(call: Call) -> Any:
    return {
        "timezone": "UTC",
        "serverTime": call.world.now_ms(),
        "rateLimits": [],
        "exchangeFilters": [],
        "assets": [],
        "symbols": [],
    }


def _tickers(render: Callable[[Ticker], Any]) -> Handler:
    async def handler(call: Call) -> Any:
        one = NAMES.market_or_none(call.world, call.query.get("symbol"))
        if one is not None:
            return render(await call.world.ticker(one.symbol))
        names = call.query.get("symbols")
        wanted = None if names is None else set(names.strip("[]").replace('"', "").split(","))
        return [
            render(await call.world.ticker(market.symbol))
            for market in call.world.markets()
            if wanted is None or NAMES.name(market) in wanted
        ]

    return handler


def _ticker(ticker: Ticker) -> Any:
    return {
        "symbol": NAMES.name(ticker.market),
        "priceChange": plain(change(ticker)),
        "priceChangePercent": plain(change_ratio(ticker) * 100),
        "weightedAvgPrice": plain(mean_price(ticker)),
        "prevClosePrice": plain(ticker.open),
        "lastPrice": plain(ticker.last),
        "lastQty": plain(ticker.market.min_amount),
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
        "firstId": 1,
        "lastId": 43200,
        "count": 43200,
    }


def _price(ticker: Ticker) -> Any:
    return {"symbol": NAMES.name(ticker.market), "price": plain(ticker.last)}


def _book_ticker(ticker: Ticker) -> Any:
    return {
        "symbol": NAMES.name(ticker.market),
        "bidPrice": plain(ticker.bid),
        "bidQty": plain(ticker.bid_amount),
        "askPrice": plain(ticker.ask),
        "askQty": plain(ticker.ask_amount),
    }


def _klines(call: Call) -> Any:
    candles = candles_between(
        call,
        NAMES.market(call.world, call.query.get("symbol")),
        interval_in(INTERVALS_MS, call.query.get("interval")),
        start_ms=moment_in(call.query.get("startTime")),
        end_ms=moment_in(call.query.get("endTime")),
        most=whole_in(call.query.get("limit"), 500, 1000),
    )
    return [_kline(candle) for candle in candles]


def _kline(candle: Candle) -> Any:
    return [
        candle.open_ms,
        plain(candle.open),
        plain(candle.high),
        plain(candle.low),
        plain(candle.close),
        plain(candle.volume),
        candle.open_ms + candle.interval_ms - 1,
        plain(candle.quote_volume),
        max(1, candle.interval_ms // 2000),
        plain(candle.volume / 2),
        plain(candle.quote_volume / 2),
        "0",
    ]


async def _depth(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("symbol"))
    book = await call.world.order_book(market.symbol, whole_in(call.query.get("limit"), 100, 5000))
    return {
        "lastUpdateId": book.version or book.at_ms,
        "bids": [[plain(level.price), plain(level.amount)] for level in book.bids],
        "asks": [[plain(level.price), plain(level.amount)] for level in book.asks],
    }


async def _trades(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("symbol"))
    trades = await call.world.public_trades(
        market.symbol, whole_in(call.query.get("limit"), 500, 1000)
    )
    return [
        {
            "id": trade.trade_id,
            "price": plain(trade.price),
            "qty": plain(trade.amount),
            "quoteQty": plain(trade.price * trade.amount),
            "time": trade.at_ms,
            "isBuyerMaker": trade.side is Side.SELL,
            "isBestMatch": True,
        }
        for trade in reversed(trades)
    ]


async def _aggregate_trades(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("symbol"))
    trades = await call.world.public_trades(
        market.symbol, whole_in(call.query.get("limit"), 500, 1000)
    )
    return [
        {
            "a": trade.trade_id,
            "p": plain(trade.price),
            "q": plain(trade.amount),
            "f": trade.trade_id,
            "l": trade.trade_id,
            "T": trade.at_ms,
            "m": trade.side is Side.SELL,
            "M": True,
        }
        for trade in reversed(trades)
    ]


PUBLIC_HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", "/api/v3/ping"): lambda _: {},
    ("GET", "/api/v3/time"): lambda call: {"serverTime": call.world.now_ms()},
    ("GET", "/sapi/v1/system/status"): lambda _: {"status": 0, "msg": "normal"},
    ("GET", "/api/v3/exchangeInfo"): _exchange_info,
    ("GET", "/fapi/v1/exchangeInfo"): _no_contracts,
    ("GET", "/dapi/v1/exchangeInfo"): _no_contracts,
    ("GET", "/api/v3/ticker/24hr"): _tickers(_ticker),
    ("GET", "/api/v3/ticker/price"): _tickers(_price),
    ("GET", "/api/v3/ticker/bookTicker"): _tickers(_book_ticker),
    ("GET", "/api/v3/klines"): _klines,
    ("GET", "/api/v3/depth"): _depth,
    ("GET", "/api/v3/trades"): _trades,
    ("GET", "/api/v3/aggTrades"): _aggregate_trades,
}
