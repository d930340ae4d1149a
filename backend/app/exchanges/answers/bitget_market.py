"""Bitget's public answers: `{"code":"00000","msg":"success","requestTime":…,"data":…}`.

Source: https://www.bitget.com/api-doc/spot (Market, Public), version 2.
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
    change_ratio,
    home_chain,
    interval_in,
    places,
    whole_in,
)
from backend.app.exchanges.market_values import Level, Market, Ticker
from backend.app.money import plain

NAMES: Final = SymbolNames()

_INTERVALS: Final = {
    "1min": MINUTE_MS,
    "3min": 3 * MINUTE_MS,
    "5min": 5 * MINUTE_MS,
    "15min": 15 * MINUTE_MS,
    "30min": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "4h": 4 * HOUR_MS,
    "6h": 6 * HOUR_MS,
    "12h": 12 * HOUR_MS,
    "1day": DAY_MS,
    "3day": 3 * DAY_MS,
    "1week": WEEK_MS,
    "1M": MONTH_MS,
    "6Hutc": 6 * HOUR_MS,
    "12Hutc": 12 * HOUR_MS,
    "1Dutc": DAY_MS,
    "3Dutc": 3 * DAY_MS,
    "1Wutc": WEEK_MS,
    "1Mutc": MONTH_MS,
}
_CANDLES_DEFAULT: Final = 100
_CANDLES_MAX: Final = 1_000
_PAST_CANDLES_MAX: Final = 200
_TRADES_DEFAULT: Final = 100
_TRADES_MAX: Final = 500
_PAST_TRADES_DEFAULT: Final = 500
_PAST_TRADES_MAX: Final = 1_000
_LEVELS_MAX: Final = 150
_CENTRAL_MINIMUM_QUOTE: Final = "USDT"


def success(call: Call, value: Any) -> dict[str, Any]:
    """Wrap what an answer has to say in Bitget's envelope."""
    return {"code": "00000", "msg": "success", "requestTime": call.world.now_ms(), "data": value}


def _time(call: Call) -> Any:
    return success(call, {"serverTime": str(call.world.now_ms())})


def _none(call: Call) -> Any:
    return success(call, [])


def _coins(call: Call) -> Any:
    return success(
        call, [_coin(str(number), asset) for number, asset in enumerate(assets(call.world), 1)]
    )


def _coin(coin_id: str, asset: str) -> dict[str, Any]:
    chain = {
        "chain": "ERC20" if home_chain(asset) != asset else asset,
        "needTag": "false",
        "withdrawable": "true",
        "rechargeable": "true",
        "withdrawFee": "0",
        "extraWithdrawFee": "0",
        "depositConfirm": "12",
        "withdrawConfirm": "12",
        "minDepositAmount": "0.001",
        "minWithdrawAmount": "0.001",
        "browserUrl": "",
        "contractAddress": "",
        "withdrawStep": "0",
        "withdrawMinScale": "8",
        "congestion": "normal",
    }
    return {"coinId": coin_id, "coin": asset, "transfer": "true", "chains": [chain]}


def _symbols(call: Call) -> Any:
    asked = NAMES.market_or_none(call.world, call.query.get("symbol"))
    markets = call.world.markets() if asked is None else (asked,)
    return success(call, [_symbol(market) for market in markets])


def _symbol(market: Market) -> dict[str, Any]:
    counts_dollars = market.quote == _CENTRAL_MINIMUM_QUOTE
    return {
        "symbol": NAMES.name(market),
        "baseCoin": market.base,
        "quoteCoin": market.quote,
        "minTradeAmount": plain(market.min_amount),
        "maxTradeAmount": plain(market.max_amount),
        "takerFeeRate": plain(market.taker_fee),
        "makerFeeRate": plain(market.maker_fee),
        "pricePrecision": str(places(market.tick_size)),
        "quantityPrecision": str(places(market.step_size)),
        "quotePrecision": "8",
        "status": "online",
        "minTradeUSDT": plain(market.min_notional) if counts_dollars else "0",
        "buyLimitPriceRatio": "0.05",
        "sellLimitPriceRatio": "0.05",
        "areaSymbol": "no",
        "orderQuantity": "200",
        "openTime": "0",
        "offTime": "",
    }


async def _tickers(call: Call) -> Any:
    asked = NAMES.market_or_none(call.world, call.query.get("symbol"))
    markets = call.world.markets() if asked is None else (asked,)
    return success(call, [_ticker(await call.world.ticker(market.symbol)) for market in markets])


def _ticker(ticker: Ticker) -> dict[str, Any]:
    moved = plain(change_ratio(ticker))
    return {
        "symbol": NAMES.name(ticker.market),
        "open": plain(ticker.open),
        "high24h": plain(ticker.high),
        "low24h": plain(ticker.low),
        "lastPr": plain(ticker.last),
        "quoteVolume": plain(ticker.quote_volume),
        "baseVolume": plain(ticker.volume),
        "usdtVolume": plain(ticker.quote_volume),
        "bidPr": plain(ticker.bid),
        "askPr": plain(ticker.ask),
        "bidSz": plain(ticker.bid_amount),
        "askSz": plain(ticker.ask_amount),
        "openUtc": plain(ticker.open),
        "ts": str(ticker.at_ms),
        "changeUtc24h": moved,
        "change24h": moved,
    }


def _candles(default: int, most: int) -> Handler:
    def answer(call: Call) -> Any:
        candles = candles_between(
            call,
            NAMES.market(call.world, call.query.get("symbol")),
            interval_in(_INTERVALS, call.query.get("granularity")),
            start_ms=moment_in(call.query.get("startTime")),
            end_ms=moment_in(call.query.get("endTime")),
            most=whole_in(call.query.get("limit"), default, most),
        )
        rows = [
            [
                str(candle.open_ms),
                plain(candle.open),
                plain(candle.high),
                plain(candle.low),
                plain(candle.close),
                plain(candle.volume),
                plain(candle.quote_volume),
                plain(candle.quote_volume),
            ]
            for candle in candles
        ]
        return success(call, rows)

    return answer


async def _order_book(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("symbol"))
    limit = max(1, whole_in(call.query.get("limit"), _LEVELS_MAX, _LEVELS_MAX))
    book = await call.world.order_book(market.symbol, limit)
    sides = {"asks": _levels(book.asks), "bids": _levels(book.bids)}
    return success(call, {**sides, "ts": str(book.at_ms)})


def _levels(levels: Sequence[Level]) -> list[list[str]]:
    return [[plain(level.price), plain(level.amount)] for level in levels]


def _fills(default: int, most: int) -> Handler:
    async def answer(call: Call) -> Any:
        market = NAMES.market(call.world, call.query.get("symbol"))
        limit = max(1, whole_in(call.query.get("limit"), default, most))
        rows = [
            {
                "symbol": NAMES.name(market),
                "tradeId": str(trade.trade_id),
                "side": trade.side.value,
                "price": plain(trade.price),
                "size": plain(trade.amount),
                "ts": str(trade.at_ms),
            }
            for trade in await call.world.public_trades(market.symbol, limit)
        ]
        return success(call, rows)

    return answer


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", "/api/v2/public/time"): _time,
    ("GET", "/api/v2/spot/public/coins"): _coins,
    ("GET", "/api/v2/spot/public/symbols"): _symbols,
    ("GET", "/api/v2/margin/currencies"): _none,
    ("GET", "/api/v2/mix/market/contracts"): _none,
    ("GET", "/api/v2/spot/market/tickers"): _tickers,
    ("GET", "/api/v2/spot/market/candles"): _candles(_CANDLES_DEFAULT, _CANDLES_MAX),
    ("GET", "/api/v2/spot/market/history-candles"): _candles(_CANDLES_DEFAULT, _PAST_CANDLES_MAX),
    ("GET", "/api/v2/spot/market/orderbook"): _order_book,
    ("GET", "/api/v2/spot/market/fills"): _fills(_TRADES_DEFAULT, _TRADES_MAX),
    ("GET", "/api/v2/spot/market/fills-history"): _fills(_PAST_TRADES_DEFAULT, _PAST_TRADES_MAX),
}
