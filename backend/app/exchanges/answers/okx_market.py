"""OKX's public answers: every list newest first, every number as text.

Source: https://www.okx.com/docs-v5/en/#public-data and #order-book-trading-market-data
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
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
    interval_in,
    whole_in,
)
from backend.app.exchanges.market_values import Candle, Market, Ticker
from backend.app.money import plain

NAMES: Final = SymbolNames("-")
INTERVALS_MS: Final[Mapping[str, int]] = {
    "1s": 1_000,
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1H": HOUR_MS,
    "2H": 2 * HOUR_MS,
    "4H": 4 * HOUR_MS,
    "6H": 6 * HOUR_MS,
    "6Hutc": 6 * HOUR_MS,
    "12H": 12 * HOUR_MS,
    "12Hutc": 12 * HOUR_MS,
    "1D": DAY_MS,
    "1Dutc": DAY_MS,
    "1W": WEEK_MS,
    "1Wutc": WEEK_MS,
    "1M": MONTH_MS,
    "1Mutc": MONTH_MS,
    "3M": 3 * MONTH_MS,
    "3Mutc": 3 * MONTH_MS,
}
LISTED_AT_MS: Final = 1_704_067_200_000
_SPOT: Final = "SPOT"


def answered(data: Sequence[Any]) -> Any:
    """Put data into OKX's envelope."""
    return {"code": "0", "msg": "", "data": list(data)}


def _instruments(call: Call) -> Any:
    if call.query.get("instType") != _SPOT:
        return answered([])
    one = NAMES.market_or_none(call.world, call.query.get("instId"))
    return answered([_instrument(market) for market in ([one] if one else call.world.markets())])


def _instrument(market: Market) -> Any:
    most = plain(market.max_amount)
    return {
        "instType": _SPOT,
        "instId": NAMES.name(market),
        "uly": "",
        "instFamily": "",
        "category": "1",
        "baseCcy": market.base,
        "quoteCcy": market.quote,
        "settleCcy": "",
        "ctVal": "",
        "ctMult": "",
        "ctValCcy": "",
        "optType": "",
        "stk": "",
        "listTime": str(LISTED_AT_MS),
        "expTime": "",
        "lever": "",
        "tickSz": plain(market.tick_size),
        "lotSz": plain(market.step_size),
        "minSz": plain(market.min_amount),
        "ctType": "",
        "alias": "",
        "state": "live",
        "ruleType": "normal",
        "maxLmtSz": most,
        "maxMktSz": most,
        "maxLmtAmt": "20000000",
        "maxMktAmt": "1000000",
        "maxTwapSz": most,
        "maxIcebergSz": most,
        "maxTriggerSz": most,
        "maxStopSz": most,
    }


async def _one_ticker(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("instId"))
    return answered([_ticker(await call.world.ticker(market.symbol))])


async def _all_tickers(call: Call) -> Any:
    if call.query.get("instType") != _SPOT:
        return answered([])
    return answered([_ticker(await call.world.ticker(m.symbol)) for m in call.world.markets()])


def _ticker(ticker: Ticker) -> Any:
    return {
        "instType": _SPOT,
        "instId": NAMES.name(ticker.market),
        "last": plain(ticker.last),
        "lastSz": plain(ticker.market.min_amount),
        "askPx": plain(ticker.ask),
        "askSz": plain(ticker.ask_amount),
        "bidPx": plain(ticker.bid),
        "bidSz": plain(ticker.bid_amount),
        "open24h": plain(ticker.open),
        "high24h": plain(ticker.high),
        "low24h": plain(ticker.low),
        "volCcy24h": plain(ticker.quote_volume),
        "vol24h": plain(ticker.volume),
        "sodUtc0": plain(ticker.open),
        "sodUtc8": plain(ticker.open),
        "ts": str(ticker.at_ms),
    }


def _candles(call: Call) -> Any:
    # `before` means newer than, `after` older than; both leave the named moment itself out.
    before_ms, after_ms = moment_in(call.query.get("before")), moment_in(call.query.get("after"))
    candles = candles_between(
        call,
        NAMES.market(call.world, call.query.get("instId")),
        interval_in(INTERVALS_MS, call.query.get("bar", "1m")),
        start_ms=None if before_ms is None else before_ms + 1,
        end_ms=None if after_ms is None else after_ms - 1,
        most=whole_in(call.query.get("limit"), 100, 300),
    )
    return answered([_candle(candle, call.world.now_ms()) for candle in reversed(candles)])


def _candle(candle: Candle, now_ms: int) -> Any:
    return [
        str(candle.open_ms),
        plain(candle.open),
        plain(candle.high),
        plain(candle.low),
        plain(candle.close),
        plain(candle.volume),
        plain(candle.quote_volume),
        plain(candle.quote_volume),
        "1" if candle.open_ms + candle.interval_ms <= now_ms else "0",
    ]


async def _book(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("instId"))
    book = await call.world.order_book(market.symbol, whole_in(call.query.get("sz"), 1, 5000))
    return answered(
        [
            {
                "asks": [_level(level.price, level.amount) for level in book.asks],
                "bids": [_level(level.price, level.amount) for level in book.bids],
                "ts": str(book.at_ms),
                "seqId": book.at_ms,
            }
        ]
    )


def _level(price: Decimal, amount: Decimal) -> Any:
    return [plain(price), plain(amount), "0", "1"]


async def _trades(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("instId"))
    trades = await call.world.public_trades(
        market.symbol, whole_in(call.query.get("limit"), 100, 500)
    )
    return answered(
        [
            {
                "instId": NAMES.name(market),
                "tradeId": str(trade.trade_id),
                "px": plain(trade.price),
                "sz": plain(trade.amount),
                "side": str(trade.side),
                "ts": str(trade.at_ms),
            }
            for trade in trades
        ]
    )


PUBLIC_HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", "/api/v5/public/time"): lambda call: answered([{"ts": str(call.world.now_ms())}]),
    ("GET", "/api/v5/system/status"): lambda _: answered([]),
    ("GET", "/api/v5/public/instruments"): _instruments,
    ("GET", "/api/v5/market/ticker"): _one_ticker,
    ("GET", "/api/v5/market/tickers"): _all_tickers,
    ("GET", "/api/v5/market/candles"): _candles,
    ("GET", "/api/v5/market/history-candles"): _candles,
    ("GET", "/api/v5/market/books"): _book,
    ("GET", "/api/v5/market/books-full"): _book,
    ("GET", "/api/v5/market/trades"): _trades,
    ("GET", "/api/v5/market/history-trades"): _trades,
}
