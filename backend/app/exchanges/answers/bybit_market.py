"""Bybit's public answers: every list newest first, every number as text.

Source: https://bybit-exchange.github.io/docs/v5/market/time and the pages beside it
"""

from collections.abc import Mapping
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
    change_ratio,
    interval_in,
    whole_in,
)
from backend.app.exchanges.market_values import Candle, Market, Ticker
from backend.app.money import plain

NAMES: Final = SymbolNames()
INTERVALS_MS: Final[Mapping[str, int]] = {
    **{str(minutes): minutes * MINUTE_MS for minutes in (1, 3, 5, 15, 30)},
    **{str(hours * 60): hours * HOUR_MS for hours in (1, 2, 4, 6, 12)},
    "D": DAY_MS,
    "W": WEEK_MS,
    "M": MONTH_MS,
}
SPOT: Final = "spot"


def answered(call: Call, result: Any) -> Any:
    """Put a result into Bybit's envelope."""
    return {
        "retCode": 0,
        "retMsg": "OK",
        "result": result,
        "retExtInfo": {},
        "time": call.world.now_ms(),
    }


def is_spot(call: Call) -> bool:
    """Return whether a request is about spot; of all else the sandbox has nothing."""
    return call.query.get("category") == SPOT


def _time(call: Call) -> Any:
    now_ms = call.world.now_ms()
    return answered(call, {"timeSecond": str(now_ms // 1000), "timeNano": str(now_ms * 1_000_000)})


def _listed(call: Call, items: list[Any]) -> Any:
    category = call.query.get("category", SPOT)
    return answered(call, {"category": category, "list": items, "nextPageCursor": ""})


def _instruments(call: Call) -> Any:
    if not is_spot(call):
        return _listed(call, [])
    one = NAMES.market_or_none(call.world, call.query.get("symbol"))
    return _listed(call, [_instrument(m) for m in ([one] if one else call.world.markets())])


def _instrument(market: Market) -> Any:
    most = plain(market.max_amount)
    return {
        "symbol": NAMES.name(market),
        "baseCoin": market.base,
        "quoteCoin": market.quote,
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "none",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": plain(market.step_size),
            "quotePrecision": plain(market.step_size * market.tick_size),
            "minOrderQty": plain(market.min_amount),
            "maxOrderQty": most,
            "minOrderAmt": plain(market.min_notional),
            "maxOrderAmt": "8000000",
            "maxLimitOrderQty": most,
            "maxMarketOrderQty": most,
        },
        "priceFilter": {"tickSize": plain(market.tick_size)},
        "riskParameters": {"priceLimitRatioX": "0.05", "priceLimitRatioY": "0.05"},
    }


async def _tickers(call: Call) -> Any:
    if not is_spot(call):
        return _listed(call, [])
    one = NAMES.market_or_none(call.world, call.query.get("symbol"))
    markets = [one] if one else call.world.markets()
    return _listed(call, [_ticker(await call.world.ticker(market.symbol)) for market in markets])


def _ticker(ticker: Ticker) -> Any:
    return {
        "symbol": NAMES.name(ticker.market),
        "bid1Price": plain(ticker.bid),
        "bid1Size": plain(ticker.bid_amount),
        "ask1Price": plain(ticker.ask),
        "ask1Size": plain(ticker.ask_amount),
        "lastPrice": plain(ticker.last),
        "prevPrice24h": plain(ticker.open),
        "price24hPcnt": plain(change_ratio(ticker)),
        "highPrice24h": plain(ticker.high),
        "lowPrice24h": plain(ticker.low),
        "turnover24h": plain(ticker.quote_volume),
        "volume24h": plain(ticker.volume),
    }


def _klines(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("symbol"))
    candles = candles_between(
        call,
        market,
        interval_in(INTERVALS_MS, call.query.get("interval")),
        start_ms=moment_in(call.query.get("start")),
        end_ms=moment_in(call.query.get("end")),
        most=whole_in(call.query.get("limit"), 200, 1000),
    )
    rows = [_kline(candle) for candle in reversed(candles)]
    return answered(call, {"category": SPOT, "symbol": NAMES.name(market), "list": rows})


def _kline(candle: Candle) -> Any:
    return [
        str(candle.open_ms),
        plain(candle.open),
        plain(candle.high),
        plain(candle.low),
        plain(candle.close),
        plain(candle.volume),
        plain(candle.quote_volume),
    ]


async def _book(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("symbol"))
    book = await call.world.order_book(market.symbol, whole_in(call.query.get("limit"), 1, 200))
    return answered(
        call,
        {
            "s": NAMES.name(market),
            "b": [[plain(level.price), plain(level.amount)] for level in book.bids],
            "a": [[plain(level.price), plain(level.amount)] for level in book.asks],
            "ts": book.at_ms,
            "u": book.at_ms,
            "seq": book.at_ms,
            "cts": book.at_ms,
        },
    )


async def _trades(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("symbol"))
    trades = await call.world.public_trades(
        market.symbol, whole_in(call.query.get("limit"), 60, 60)
    )
    rows = [
        {
            "execId": str(trade.trade_id),
            "symbol": NAMES.name(market),
            "price": plain(trade.price),
            "size": plain(trade.amount),
            "side": trade.side.capitalize(),
            "time": str(trade.at_ms),
            "isBlockTrade": False,
            "isRPITrade": False,
            "seq": str(trade.trade_id),
        }
        for trade in trades
    ]
    return answered(call, {"category": SPOT, "list": rows})


PUBLIC_HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", "/v5/market/time"): _time,
    ("GET", "/v5/system/status"): lambda call: answered(call, {"list": []}),
    ("GET", "/v5/market/instruments-info"): _instruments,
    ("GET", "/v5/market/tickers"): _tickers,
    ("GET", "/v5/market/kline"): _klines,
    ("GET", "/v5/market/orderbook"): _book,
    ("GET", "/v5/market/recent-trade"): _trades,
}
