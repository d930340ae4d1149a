"""HTX's public answers: lower-case names, prices and amounts as bare JSON numbers.

Source: https://www.htx.com/en-us/opend/newApiPages/ (spot, reference and market data)
"""

from collections.abc import Mapping
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
    assets,
    home_chain,
    interval_in,
    places,
    whole_in,
)
from backend.app.exchanges.market_values import Candle, Market, PublicTrade, Side, Ticker

NAMES: Final = SymbolNames(lower=True)
INTERVALS_MS: Final[Mapping[str, int]] = {
    "1min": MINUTE_MS,
    "5min": 5 * MINUTE_MS,
    "15min": 15 * MINUTE_MS,
    "30min": 30 * MINUTE_MS,
    "60min": HOUR_MS,
    "4hour": 4 * HOUR_MS,
    "1day": DAY_MS,
    "1week": WEEK_MS,
    "1mon": MONTH_MS,
    "1year": 365 * DAY_MS,
}
_DEPTH_MAX: Final = 150
_CLOSED_CONTRACT: Final[Mapping[str, Any]] = {
    "symbol": "BTC",
    "contract_size": Decimal("0.001"),
    "price_tick": Decimal("0.1"),
    "create_date": "20240101",
    "contract_status": 0,
}
"""CCXT fails on an empty list of contracts, so each list holds one that is no longer traded."""


def succeeded(data: Any) -> Any:
    """Put data into the envelope of version 2."""
    return {"code": 200, "message": "success", "data": data}


def _symbols(call: Call) -> Any:
    return {"status": "ok", "data": [_symbol(market) for market in call.world.markets()]}


def _symbol(market: Market) -> Any:
    return {
        "base-currency": market.base.lower(),
        "quote-currency": market.quote.lower(),
        "price-precision": places(market.tick_size),
        "amount-precision": places(market.step_size),
        "value-precision": places(market.tick_size * market.step_size),
        "symbol-partition": "main",
        "symbol": NAMES.name(market),
        "state": "online",
        "min-order-amt": market.min_amount,
        "max-order-amt": market.max_amount,
        "min-order-value": market.min_notional,
        "limit-order-min-order-amt": market.min_amount,
        "limit-order-max-order-amt": market.max_amount,
        "limit-order-max-buy-amt": market.max_amount,
        "limit-order-max-sell-amt": market.max_amount,
        "sell-market-min-order-amt": market.min_amount,
        "sell-market-max-order-amt": market.max_amount,
        "buy-market-max-order-value": 1000000,
        "api-trading": "enabled",
        "tags": "",
    }


def _currencies(call: Call) -> Any:
    rows = [
        {
            "currency": asset.lower(),
            "assetType": 1,
            "instStatus": "normal",
            "chains": [_chain(asset)],
        }
        for asset in assets(call.world)
    ]
    return succeeded(rows)


def chain_name(asset: str) -> str:
    """Return HTX's name of the one chain an asset moves on: asset and chain, where they differ."""
    chain = home_chain(asset)
    return asset.lower() if chain == asset else f"{asset.lower()}{chain.lower()}"


def _chain(asset: str) -> Any:
    chain = home_chain(asset)
    return {
        "chain": chain_name(asset),
        "displayName": chain,
        "baseChain": chain,
        "baseChainProtocol": chain,
        "isDynamic": False,
        "numOfConfirmations": 1,
        "numOfFastConfirmations": 1,
        "depositStatus": "allowed",
        "minDepositAmt": "0",
        "withdrawStatus": "allowed",
        "minWithdrawAmt": "0.0001",
        "withdrawPrecision": 8,
        "maxWithdrawAmt": "1000000",
        "withdrawQuotaPerDay": "1000000",
        "withdrawFeeType": "fixed",
        "transactFeeWithdraw": "0",
        "addrWithTag": False,
        "addrDepositTag": False,
    }


def _contracts(**own: Any) -> Handler:
    return lambda call: {
        "status": "ok",
        "data": [{**_CLOSED_CONTRACT, **own}],
        "ts": call.world.now_ms(),
    }


async def _merged(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("symbol"))
    ticker = await call.world.ticker(market.symbol)
    tick = {
        **_day(ticker),
        "id": ticker.at_ms,
        "version": ticker.at_ms,
        "bid": [ticker.bid, ticker.bid_amount],
        "ask": [ticker.ask, ticker.ask_amount],
    }
    return _fed(call, f"market.{NAMES.name(market)}.detail.merged", tick=tick)


async def _tickers(call: Call) -> Any:
    rows = [_ticker(await call.world.ticker(market.symbol)) for market in call.world.markets()]
    return {"status": "ok", "ts": call.world.now_ms(), "data": rows}


def _ticker(ticker: Ticker) -> Any:
    return {
        "symbol": NAMES.name(ticker.market),
        **_day(ticker),
        "bid": ticker.bid,
        "bidSize": ticker.bid_amount,
        "ask": ticker.ask,
        "askSize": ticker.ask_amount,
    }


def _day(ticker: Ticker) -> dict[str, Any]:
    # HTX calls the base volume `amount` and the quote volume `vol`.
    return {
        "open": ticker.open,
        "high": ticker.high,
        "low": ticker.low,
        "close": ticker.last,
        "amount": ticker.volume,
        "vol": ticker.quote_volume,
        "count": 43200,
    }


def _candles(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("symbol"))
    period = call.query.get("period")
    candles = candles_between(
        call,
        market,
        interval_in(INTERVALS_MS, period),
        start_ms=moment_in(call.query.get("from"), 1000),
        end_ms=moment_in(call.query.get("to"), 1000),
        most=whole_in(call.query.get("size"), 150, 1000),
    )
    rows = [_candle(candle) for candle in reversed(candles)]
    return _fed(call, f"market.{NAMES.name(market)}.kline.{period}", data=rows)


def _candle(candle: Candle) -> Any:
    return {
        "id": candle.open_ms // 1000,
        "open": candle.open,
        "close": candle.close,
        "low": candle.low,
        "high": candle.high,
        "amount": candle.volume,
        "vol": candle.quote_volume,
        "count": max(1, candle.interval_ms // 2000),
    }


async def _depth(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("symbol"))
    depth = whole_in(call.query.get("depth"), _DEPTH_MAX, _DEPTH_MAX)
    book = await call.world.order_book(market.symbol, depth)
    tick = {
        "bids": [[level.price, level.amount] for level in book.bids],
        "asks": [[level.price, level.amount] for level in book.asks],
        "ts": book.at_ms,
        "version": book.at_ms,
    }
    return _fed(call, f"market.{NAMES.name(market)}.depth.step0", tick=tick)


async def _trades(call: Call) -> Any:
    market = NAMES.market(call.world, call.query.get("symbol"))
    trades = await call.world.public_trades(
        market.symbol, whole_in(call.query.get("size"), 1, 2000)
    )
    rows = [{"id": trade.trade_id, "ts": trade.at_ms, "data": [_trade(trade)]} for trade in trades]
    return _fed(call, f"market.{NAMES.name(market)}.trade.detail", data=rows)


def _trade(trade: PublicTrade) -> Any:
    return {
        "id": trade.trade_id,
        "trade-id": trade.trade_id,
        "ts": trade.at_ms,
        "price": trade.price,
        "amount": trade.amount,
        "direction": "buy" if trade.side is Side.BUY else "sell",
    }


def _fed(call: Call, channel: str, **content: Any) -> Any:
    return {"ch": channel, "status": "ok", "ts": call.world.now_ms(), **content}


PUBLIC_HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", "/v1/common/timestamp"): lambda call: {"status": "ok", "data": call.world.now_ms()},
    ("GET", "/v2/market-status"): lambda _: succeeded({"marketStatus": 1}),
    ("GET", "/v1/common/symbols"): _symbols,
    ("GET", "/v2/reference/currencies"): _currencies,
    ("GET", "/linear-swap-api/v1/swap_contract_info"): _contracts(
        contract_code="BTC-USDT", pair="BTC-USDT", business_type="swap", contract_type="swap"
    ),
    ("GET", "/swap-api/v1/swap_contract_info"): _contracts(contract_code="BTC-USD"),
    ("GET", "/api/v1/contract_contract_info"): _contracts(
        contract_code="BTC240628",
        contract_type="quarter",
        delivery_date="20240628",
        delivery_time="1719561600000",
    ),
    ("GET", "/market/detail/merged"): _merged,
    ("GET", "/market/tickers"): _tickers,
    ("GET", "/market/history/candles"): _candles,
    ("GET", "/market/history/kline"): _candles,
    ("GET", "/market/depth"): _depth,
    ("GET", "/market/history/trade"): _trades,
}
