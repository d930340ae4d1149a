"""KuCoin's public answers: `{"code":"200000","data":…}`.

Source: https://www.kucoin.com/docs-new (Spot Trading, Market Data).
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
    assets,
    change,
    change_ratio,
    home_chain,
    interval_in,
    mean_price,
)
from backend.app.exchanges.market_values import Level, Market, Ticker
from backend.app.money import plain

NAMES: Final = SymbolNames("-")

_INTERVALS: Final = {
    "1min": MINUTE_MS,
    "3min": 3 * MINUTE_MS,
    "5min": 5 * MINUTE_MS,
    "15min": 15 * MINUTE_MS,
    "30min": 30 * MINUTE_MS,
    "1hour": HOUR_MS,
    "2hour": 2 * HOUR_MS,
    "4hour": 4 * HOUR_MS,
    "6hour": 6 * HOUR_MS,
    "8hour": 8 * HOUR_MS,
    "12hour": 12 * HOUR_MS,
    "1day": DAY_MS,
    "1week": WEEK_MS,
    "1month": MONTH_MS,
}
_CANDLES_MAX: Final = 1_500
_TRADES_MAX: Final = 100
_LEVELS_MAX: Final = 500
_QUOTE_MAX: Final = "99999999"
_QUOTE_STEP: Final = "0.000001"


def data(value: Any) -> dict[str, Any]:
    """Wrap what an answer has to say in KuCoin's envelope."""
    return {"code": "200000", "data": value}


def _time(call: Call) -> Any:
    return data(call.world.now_ms())


def _status(_: Call) -> Any:
    return data({"status": "open", "msg": ""})


def _symbols(call: Call) -> Any:
    return data([_symbol(market) for market in call.world.markets()])


def _symbol(market: Market) -> dict[str, Any]:
    return {
        "symbol": NAMES.name(market),
        "name": NAMES.name(market),
        "baseCurrency": market.base,
        "quoteCurrency": market.quote,
        "feeCurrency": market.quote,
        "market": market.quote,
        "baseMinSize": plain(market.min_amount),
        "quoteMinSize": plain(market.min_notional),
        "baseMaxSize": plain(market.max_amount),
        "quoteMaxSize": _QUOTE_MAX,
        "baseIncrement": plain(market.step_size),
        "quoteIncrement": _QUOTE_STEP,
        "priceIncrement": plain(market.tick_size),
        "priceLimitRate": "0.1",
        "minFunds": plain(market.min_notional),
        "isMarginEnabled": False,
        "enableTrading": True,
    }


def _currencies(call: Call) -> Any:
    return data([_currency(asset) for asset in assets(call.world)])


def _currency(asset: str) -> dict[str, Any]:
    chain = home_chain(asset)
    return {
        "currency": asset,
        "name": asset,
        "fullName": asset,
        "precision": 8,
        "confirms": None,
        "contractAddress": None,
        "isMarginEnabled": False,
        "isDebitEnabled": False,
        "chains": [
            {
                "chainName": chain,
                "chainId": chain.lower(),
                "withdrawalMinSize": "0.001",
                "depositMinSize": None,
                "withdrawFeeRate": "0",
                "withdrawalMinFee": "0",
                "isWithdrawEnabled": True,
                "isDepositEnabled": True,
                "confirms": 12,
                "preConfirms": 12,
                "withdrawPrecision": 8,
                "maxWithdraw": None,
                "maxDeposit": None,
                "needTag": False,
                "contractAddress": "",
            }
        ],
    }


def _margin_symbols(call: Call) -> Any:
    return data({"timestamp": call.world.now_ms(), "items": []})


def _none(_: Call) -> Any:
    return data([])


def _ticker(ticker: Ticker) -> dict[str, Any]:
    return {
        "symbol": NAMES.name(ticker.market),
        "buy": plain(ticker.bid),
        "sell": plain(ticker.ask),
        "changeRate": plain(change_ratio(ticker)),
        "changePrice": plain(change(ticker)),
        "high": plain(ticker.high),
        "low": plain(ticker.low),
        "vol": plain(ticker.volume),
        "volValue": plain(ticker.quote_volume),
        "last": plain(ticker.last),
        "averagePrice": plain(mean_price(ticker)),
        "takerFeeRate": plain(ticker.market.taker_fee),
        "makerFeeRate": plain(ticker.market.maker_fee),
        "takerCoefficient": "1",
        "makerCoefficient": "1",
    }


async def _stats(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("symbol"))
    ticker = await call.world.ticker(market.symbol)
    return data({"time": ticker.at_ms, **_ticker(ticker)})


async def _all_tickers(call: Call) -> Any:
    tickers = [await call.world.ticker(market.symbol) for market in call.world.markets()]
    rows = [
        _ticker(ticker)
        | {
            "symbolName": NAMES.name(ticker.market),
            "bestBidSize": plain(ticker.bid_amount),
            "bestAskSize": plain(ticker.ask_amount),
        }
        for ticker in tickers
    ]
    return data({"time": call.world.now_ms(), "ticker": rows})


def _candles(call: Call) -> Any:
    candles = candles_between(
        call,
        NAMES.market(call.world, call.query.get("symbol")),
        interval_in(_INTERVALS, call.query.get("type")),
        start_ms=moment_in(call.query.get("startAt"), 1_000),
        end_ms=moment_in(call.query.get("endAt"), 1_000),
        most=_CANDLES_MAX,
    )
    rows = [
        [
            str(candle.open_ms // 1_000),
            plain(candle.open),
            plain(candle.close),
            plain(candle.high),
            plain(candle.low),
            plain(candle.volume),
            plain(candle.quote_volume),
        ]
        for candle in candles
    ]
    # The newest comes first.
    return data(rows[::-1])


def _order_book(levels: int) -> Handler:
    async def answer(call: Call) -> Any:
        market = NAMES.market(call.world, call.query.get("symbol"))
        book = await call.world.order_book(market.symbol, levels)
        sides = {"bids": _levels(book.bids), "asks": _levels(book.asks)}
        return data({"sequence": str(book.at_ms), "time": book.at_ms, **sides})

    return answer


def _levels(levels: Sequence[Level]) -> list[list[str]]:
    return [[plain(level.price), plain(level.amount)] for level in levels]


async def _histories(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("symbol"))
    rows = [
        {
            "sequence": str(trade.trade_id),
            "price": plain(trade.price),
            "size": plain(trade.amount),
            "side": trade.side.value,
            "time": trade.at_ms * 1_000_000,
        }
        for trade in await call.world.public_trades(market.symbol, _TRADES_MAX)
    ]
    return data(rows)


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", "/api/v1/timestamp"): _time,
    ("GET", "/api/v1/status"): _status,
    ("GET", "/api/v2/symbols"): _symbols,
    ("GET", "/api/v3/currencies"): _currencies,
    ("GET", "/api/v3/margin/symbols"): _margin_symbols,
    ("GET", "/api/v1/isolated/symbols"): _none,
    ("GET", "/api/v1/contracts/active"): _none,
    ("GET", "/api/v1/market/stats"): _stats,
    ("GET", "/api/v1/market/allTickers"): _all_tickers,
    ("GET", "/api/v1/market/candles"): _candles,
    ("GET", "/api/v1/market/histories"): _histories,
    ("GET", "/api/v1/market/orderbook/level2_20"): _order_book(20),
    ("GET", "/api/v1/market/orderbook/level2_100"): _order_book(100),
    ("GET", "/api/v3/market/orderbook/level2"): _order_book(_LEVELS_MAX),
}
