"""Gate's public answers: bare objects and lists.

Source: https://www.gate.com/docs/developers/apiv4 (Spot).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from backend.app.exchanges.answers.asking import candles_between, moment_in
from backend.app.exchanges.answers.base import Call, Handler
from backend.app.exchanges.answers.rendering import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    WEEK_MS,
    SymbolNames,
    assets,
    change_ratio,
    home_chain,
    interval_in,
    places,
    whole_in,
)
from backend.app.exchanges.market_values import Level, Market, Ticker
from backend.app.money import plain

NAMES: Final = SymbolNames("_")

_INTERVALS: Final = {
    "10s": 10_000,
    "1m": MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "4h": 4 * HOUR_MS,
    "8h": 8 * HOUR_MS,
    "1d": DAY_MS,
    "7d": WEEK_MS,
}
_CANDLES_DEFAULT: Final = 100
_CANDLES_MAX: Final = 1_000
_TRADES_DEFAULT: Final = 100
_TRADES_MAX: Final = 1_000
_LEVELS_DEFAULT: Final = 10
_LEVELS_MAX: Final = 1_000


def _time(call: Call) -> Any:
    return {"server_time": call.world.now_ms()}


def _none(_: Call) -> Any:
    return []


def _currencies(call: Call) -> Any:
    return [_currency(asset) for asset in assets(call.world)]


def _currency(asset: str) -> dict[str, Any]:
    open_doors = {"withdraw_disabled": False, "withdraw_delayed": False, "deposit_disabled": False}
    chain = home_chain(asset)
    return {
        "currency": asset,
        "name": asset,
        "delisted": False,
        **open_doors,
        "trade_disabled": False,
        "fixed_rate": "",
        "chain": chain,
        "chains": [{"name": chain, "addr": "", **open_doors}],
    }


def _currency_pairs(call: Call) -> Any:
    return [_currency_pair(market) for market in call.world.markets()]


def _currency_pair(market: Market) -> dict[str, Any]:
    return {
        "id": NAMES.name(market),
        "base": market.base,
        "base_name": market.base,
        "quote": market.quote,
        "quote_name": market.quote,
        # In percent.
        "fee": plain(market.taker_fee * 100),
        "min_base_amount": plain(market.min_amount),
        "max_base_amount": plain(market.max_amount),
        "min_quote_amount": plain(market.min_notional),
        "amount_precision": places(market.step_size),
        "precision": places(market.tick_size),
        "trade_status": "tradable",
        "sell_start": 0,
        "buy_start": 0,
        "type": "normal",
    }


async def _tickers(call: Call) -> Any:
    asked = NAMES.market_or_none(call.world, call.query.get("currency_pair"))
    markets = call.world.markets() if asked is None else (asked,)
    return [_ticker(await call.world.ticker(market.symbol)) for market in markets]


def _ticker(ticker: Ticker) -> dict[str, Any]:
    return {
        "currency_pair": NAMES.name(ticker.market),
        "last": plain(ticker.last),
        "lowest_ask": plain(ticker.ask),
        "lowest_size": plain(ticker.ask_amount),
        "highest_bid": plain(ticker.bid),
        "highest_size": plain(ticker.bid_amount),
        "change_percentage": plain(change_ratio(ticker) * 100),
        "base_volume": plain(ticker.volume),
        "quote_volume": plain(ticker.quote_volume),
        "high_24h": plain(ticker.high),
        "low_24h": plain(ticker.low),
    }


def _candlesticks(call: Call) -> Any:
    interval_ms = interval_in(_INTERVALS, call.query.get("interval", "30m"))
    start_ms = moment_in(call.query.get("from"), 1_000)
    # A span is answered whole; the limit counts only where no beginning is asked.
    default = _CANDLES_DEFAULT if start_ms is None else _CANDLES_MAX
    candles = candles_between(
        call,
        NAMES.market(call.world, call.query.get("currency_pair")),
        interval_ms,
        start_ms=start_ms,
        end_ms=moment_in(call.query.get("to"), 1_000),
        most=whole_in(call.query.get("limit"), default, _CANDLES_MAX),
    )
    now_ms = call.world.now_ms()
    return [
        [
            str(candle.open_ms // 1_000),
            plain(candle.quote_volume),
            plain(candle.close),
            plain(candle.high),
            plain(candle.low),
            plain(candle.open),
            plain(candle.volume),
            "true" if candle.open_ms + interval_ms <= now_ms else "false",
        ]
        for candle in candles
    ]


async def _order_book(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("currency_pair"))
    limit = max(1, whole_in(call.query.get("limit"), _LEVELS_DEFAULT, _LEVELS_MAX))
    book = await call.world.order_book(market.symbol, limit)
    answer = {
        "current": call.world.now_ms(),
        "update": book.at_ms,
        "asks": _levels(book.asks),
        "bids": _levels(book.bids),
    }
    return answer | ({"id": book.at_ms} if call.query.get("with_id") == "true" else {})


def _levels(levels: Sequence[Level]) -> list[list[str]]:
    return [[plain(level.price), plain(level.amount)] for level in levels]


async def _trades(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("currency_pair"))
    limit = max(1, whole_in(call.query.get("limit"), _TRADES_DEFAULT, _TRADES_MAX))
    return [
        {
            "id": str(trade.trade_id),
            "create_time": str(trade.at_ms // 1_000),
            "create_time_ms": f"{trade.at_ms}.000000",
            "currency_pair": NAMES.name(market),
            "side": trade.side.value,
            "amount": plain(trade.amount),
            "price": plain(trade.price),
            "sequence_id": str(trade.trade_id),
        }
        for trade in await call.world.public_trades(market.symbol, limit)
    ]


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", "/api/v4/spot/time"): _time,
    ("GET", "/api/v4/spot/currencies"): _currencies,
    ("GET", "/api/v4/spot/currency_pairs"): _currency_pairs,
    ("GET", "/api/v4/margin/currency_pairs"): _none,
    ("GET", "/api/v4/futures/{settle}/contracts"): _none,
    ("GET", "/api/v4/delivery/{settle}/contracts"): _none,
    ("GET", "/api/v4/options/underlyings"): _none,
    ("GET", "/api/v4/options/contracts"): _none,
    ("GET", "/api/v4/spot/tickers"): _tickers,
    ("GET", "/api/v4/spot/candlesticks"): _candlesticks,
    ("GET", "/api/v4/spot/order_book"): _order_book,
    ("GET", "/api/v4/spot/trades"): _trades,
}
