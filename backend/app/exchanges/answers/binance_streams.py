"""What Binance says unasked: the events of its market streams and of the user data stream.

Source: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
.../user-data-stream
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from backend.app.exchanges.answers.binance import acknowledged
from backend.app.exchanges.answers.binance_market import NAMES
from backend.app.exchanges.answers.past import received
from backend.app.exchanges.answers.rendering import (
    DAY_MS,
    change,
    change_ratio,
    mean_price,
)
from backend.app.exchanges.key_information import Balance
from backend.app.exchanges.market_values import (
    Candle,
    Fill,
    Level,
    Market,
    Order,
    PublicTrade,
    Side,
    Ticker,
)
from backend.app.money import plain

NEW: Final = "NEW"
TRADE: Final = "TRADE"
PARTIALLY_FILLED: Final = "PARTIALLY_FILLED"
FILLED: Final = "FILLED"
_NO_TRADE: Final = -1


def depth_event(
    market: Market, version: int, bids: Iterable[Level], asks: Iterable[Level], now_ms: int
) -> dict[str, Any]:
    """Return what changed in a book since the version before; an amount of 0 is a level gone."""
    return {
        "e": "depthUpdate",
        "E": now_ms,
        "s": NAMES.name(market),
        "U": version,
        "u": version,
        "b": [[plain(level.price), plain(level.amount)] for level in bids],
        "a": [[plain(level.price), plain(level.amount)] for level in asks],
    }


def trade_event(market: Market, trade: PublicTrade, now_ms: int) -> dict[str, Any]:
    """Return one trade."""
    return {
        "e": "trade",
        "E": now_ms,
        "s": NAMES.name(market),
        "t": trade.trade_id,
        "p": plain(trade.price),
        "q": plain(trade.amount),
        "T": trade.at_ms,
        "m": trade.side is Side.SELL,
        "M": True,
    }


def aggregate_trade_event(market: Market, trade: PublicTrade, now_ms: int) -> dict[str, Any]:
    """Return one trade, as the stream of joined trades tells it: each is one of its own here."""
    told = trade_event(market, trade, now_ms)
    told |= {"e": "aggTrade", "a": told.pop("t"), "f": trade.trade_id, "l": trade.trade_id}
    return told


def mini_ticker_event(ticker: Ticker) -> dict[str, Any]:
    """Return the last 24 hours, short."""
    return {
        "e": "24hrMiniTicker",
        "E": ticker.at_ms,
        "s": NAMES.name(ticker.market),
        "c": plain(ticker.last),
        "o": plain(ticker.open),
        "h": plain(ticker.high),
        "l": plain(ticker.low),
        "v": plain(ticker.volume),
        "q": plain(ticker.quote_volume),
    }


def ticker_event(ticker: Ticker) -> dict[str, Any]:
    """Return the last 24 hours."""
    return mini_ticker_event(ticker) | {
        "e": "24hrTicker",
        "p": plain(change(ticker)),
        "P": plain(change_ratio(ticker) * 100),
        "w": plain(mean_price(ticker)),
        "x": plain(ticker.open),
        "Q": plain(ticker.market.min_amount),
        "b": plain(ticker.bid),
        "B": plain(ticker.bid_amount),
        "a": plain(ticker.ask),
        "A": plain(ticker.ask_amount),
        "O": ticker.at_ms - DAY_MS,
        "C": ticker.at_ms,
        "F": 1,
        "L": 43200,
        "n": 43200,
    }


def book_ticker_event(ticker: Ticker) -> dict[str, Any]:
    """Return the best bid and ask: the one event without a name."""
    return {
        "u": ticker.at_ms,
        "s": NAMES.name(ticker.market),
        "b": plain(ticker.bid),
        "B": plain(ticker.bid_amount),
        "a": plain(ticker.ask),
        "A": plain(ticker.ask_amount),
    }


def candle_event(market: Market, interval: str, candle: Candle, now_ms: int) -> dict[str, Any]:
    """Return the candle that grows now."""
    close_ms = candle.open_ms + candle.interval_ms - 1
    return {
        "e": "kline",
        "E": now_ms,
        "s": NAMES.name(market),
        "k": {
            "t": candle.open_ms,
            "T": close_ms,
            "s": NAMES.name(market),
            "i": interval,
            "f": 1,
            "L": 1,
            "o": plain(candle.open),
            "c": plain(candle.close),
            "h": plain(candle.high),
            "l": plain(candle.low),
            "v": plain(candle.volume),
            "n": max(1, candle.interval_ms // 2000),
            "x": now_ms > close_ms,
            "q": plain(candle.quote_volume),
            "V": plain(candle.volume / 2),
            "Q": plain(candle.quote_volume / 2),
            "B": "0",
        },
    }


def came_in(order: Order) -> dict[str, Any]:
    """Return the report of a new order, before anything happened to it."""
    return _report(order, order.created_ms) | {
        "x": NEW,
        "X": NEW,
        "z": "0",
        "Z": "0",
        "w": True,
    }


def traded(order: Order, fill: Fill, filled: Decimal, filled_quote: Decimal) -> dict[str, Any]:
    """Return the report of one trade of an order, which came to `filled` with it."""
    return _report(order, fill.at_ms) | {
        "x": TRADE,
        "X": FILLED if filled == order.amount else PARTIALLY_FILLED,
        "l": plain(fill.amount),
        "L": plain(fill.price),
        "Y": plain(fill.cost),
        "n": plain(fill.fee),
        "N": received(fill.side, fill.market),
        "t": fill.fill_id,
        "m": fill.is_maker,
        "z": plain(filled),
        "Z": plain(filled_quote),
    }


def ended(order: Order) -> dict[str, Any]:
    """Return the report of an order that ends with something untraded."""
    status = acknowledged(order)["status"]
    return _report(order, order.updated_ms) | {"x": status, "X": status, "w": False}


def account_position(balances: Iterable[Balance], now_ms: int) -> dict[str, Any]:
    """Return what an account has now of the assets that changed."""
    return {
        "e": "outboundAccountPosition",
        "E": now_ms,
        "u": now_ms,
        "B": [
            {"a": balance.asset, "f": plain(balance.available), "l": plain(balance.locked)}
            for balance in balances
        ],
    }


def _report(order: Order, at_ms: int) -> dict[str, Any]:
    told = acknowledged(order)
    return {
        "e": "executionReport",
        "E": at_ms,
        "s": told["symbol"],
        "c": told["clientOrderId"],
        "S": told["side"],
        "o": told["type"],
        "f": told["timeInForce"],
        "q": told["origQty"],
        "p": told["price"],
        "P": "0",
        "F": "0",
        "g": told["orderListId"],
        "C": "",
        "r": "NONE",
        "i": order.order_id,
        "l": "0",
        "z": told["executedQty"],
        "L": "0",
        "n": "0",
        "N": None,
        "T": at_ms,
        "t": _NO_TRADE,
        "I": order.order_id,
        "w": order.is_open,
        "m": False,
        "M": False,
        "O": order.created_ms,
        "Z": told["cummulativeQuoteQty"],
        "Y": "0",
        "Q": "0",
        "W": order.created_ms,
        "V": "NONE",
    }
