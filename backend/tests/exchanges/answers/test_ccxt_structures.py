"""What CCXT makes of the answers, judged by the checks CCXT ships for its own exchanges."""

from decimal import Decimal
from typing import Any

import ccxt.async_support as ccxt
import pytest
from ccxt.test.exchange.base.test_balance import test_balance as check_balance
from ccxt.test.exchange.base.test_currency import test_currency as check_currency
from ccxt.test.exchange.base.test_market import test_market as check_market
from ccxt.test.exchange.base.test_ohlcv import test_ohlcv as check_ohlcv
from ccxt.test.exchange.base.test_order import test_order as check_order
from ccxt.test.exchange.base.test_order_book import test_order_book as check_order_book
from ccxt.test.exchange.base.test_ticker import test_ticker as check_ticker
from ccxt.test.exchange.base.test_trade import test_trade as check_trade

from backend.app.exchanges.answers.registry import answers
from backend.app.exchanges.market_values import OrderStatus, TimeInForce
from backend.tests.support.ccxt_clients import lean_config
from backend.tests.support.fake_world import NOW_MS, Asker, FakeWorld
from backend.tests.support.offline_ccxt import offline_client

SYMBOL = "BTC/USDT"
# Later than anything that happens in the fake world.
SOON_MS = NOW_MS + 60_000
EXCHANGES = ("kucoin", "gate", "bitget", "mexc")

REFUSALS = {
    "unknown_symbol": (ccxt.BadSymbol, ccxt.BadRequest, ccxt.ExchangeError),
    "bad_number": (ccxt.BadRequest, ccxt.InvalidOrder),
    "tick_size": (ccxt.BadRequest, ccxt.InvalidOrder),
    "step_size": (ccxt.InvalidOrder,),
    "min_amount": (ccxt.InvalidOrder,),
    "min_notional": (ccxt.InvalidOrder, ccxt.BadRequest),
    "insufficient_funds": (ccxt.InsufficientFunds,),
    "duplicate_client_order_id": (ccxt.InvalidOrder, ccxt.BadRequest, ccxt.ExchangeError),
    "too_many_open_orders": (ccxt.InvalidOrder,),
    "order_not_found": (ccxt.OrderNotFound, ccxt.BadRequest),
}


@pytest.fixture
def world() -> FakeWorld:
    return FakeWorld()


@pytest.fixture(params=EXCHANGES)
def exchange(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["default", "lean"])
def client(request: pytest.FixtureRequest, exchange: str, world: FakeWorld) -> Any:
    config: dict[str, Any] = lean_config(exchange) if request.param == "lean" else {}
    return offline_client(exchange, Asker(answers(exchange), world), **config)


async def test_markets_and_currencies_are_whole(client: Any) -> None:
    markets = await client.load_markets()

    assert list(markets) == ["BTC/USDT", "DOGE/USDT"]
    for market in markets.values():
        check_market(client, {}, "fetchMarkets", market)
    # CCXT reads no precision of MEXC's currencies, whatever they say.
    skipped = {"precision": True} if client.id == "mexc" else {}
    for currency in client.currencies.values():
        check_currency(client, skipped, "fetchCurrencies", currency)


async def test_precision_and_limits_are_the_markets_own(client: Any) -> None:
    doge = (await client.load_markets())["DOGE/USDT"]

    assert (doge["precision"]["amount"], doge["precision"]["price"]) == (1.0, 0.00001)
    assert doge["limits"]["amount"]["min"] == 1.0
    assert doge["limits"]["cost"]["min"] == 5.0
    assert doge["active"] is True


async def test_tickers_candles_books_and_trades_are_whole(client: Any) -> None:
    ticker = await client.fetch_ticker(SYMBOL)
    candles = await client.fetch_ohlcv(SYMBOL, "1m", limit=3)
    book = await client.fetch_order_book(SYMBOL)
    trades = await client.fetch_trades(SYMBOL)

    check_ticker(client, {}, "fetchTicker", ticker, SYMBOL)
    for symbol, listed in (await client.fetch_tickers()).items():
        check_ticker(client, {}, "fetchTickers", listed, symbol)
    for candle in candles:
        check_ohlcv(client, {}, "fetchOHLCV", candle, SYMBOL, SOON_MS)
    check_order_book(client, {}, "fetchOrderBook", book, SYMBOL)
    for trade in trades:
        check_trade(client, {}, "fetchTrades", trade, SYMBOL, SOON_MS, True)


async def test_no_candle_column_is_in_anothers_place(client: Any) -> None:
    candle = (await client.fetch_ohlcv(SYMBOL, "1m", limit=3))[-1]

    price = 64000.5
    assert candle[1:] == [price, price * 3, price / 2, price * 2, 1.5]
    assert candle[0] % 60_000 == 0


async def test_the_takers_side_is_kept(client: Any) -> None:
    trades = await client.fetch_trades(SYMBOL)

    assert [(trade["side"], trade["amount"]) for trade in trades] == [("buy", 0.25), ("sell", 0.5)]


async def test_candles_since_a_moment_begin_there(client: Any) -> None:
    since = NOW_MS // 60_000 * 60_000 - 600_000

    candles = await client.fetch_ohlcv(SYMBOL, "1m", since, 5)

    assert [candle[0] for candle in candles] == [since + step * 60_000 for step in range(5)]


async def test_a_balance_tells_what_is_locked(client: Any) -> None:
    check_balance(client, {}, "fetchBalance", await client.fetch_balance())
    client.number = Decimal

    balance = await client.fetch_balance()

    assert balance["BTC"]["free"] == Decimal("2.5")
    assert balance["BTC"]["used"] == Decimal("0.00000001")
    assert balance["BTC"]["total"] == Decimal("2.50000001")
    assert balance["USDT"]["total"] == Decimal(100000)


async def test_a_resting_order_is_the_same_wherever_it_is_read(client: Any) -> None:
    placed = await client.create_order(
        SYMBOL, "limit", "buy", 0.01, 60000.25, {"clientOrderId": "t-mine"}
    )
    order_id = placed["id"]
    found = await client.fetch_order(order_id, SYMBOL)
    (listed,) = await client.fetch_open_orders(SYMBOL)

    for order in (found, listed):
        check_order(client, {}, "fetchOrder", order, SYMBOL, SOON_MS)
        assert (order["id"], order["clientOrderId"]) == (order_id, "t-mine")
        assert (order["status"], order["type"], order["side"]) == ("open", "limit", "buy")
        assert (order["price"], order["amount"], order["filled"]) == (60000.25, 0.01, 0)
        assert order["remaining"] == 0.01
        assert order["timestamp"] == NOW_MS


async def test_a_partly_filled_order_tells_how_far_it_got(client: Any, world: FakeWorld) -> None:
    placed = await client.create_order(SYMBOL, "limit", "sell", 0.04, 70000)
    world.set(
        int(placed["id"]),
        status=OrderStatus.PARTIALLY_FILLED,
        filled=Decimal("0.01"),
        filled_quote=Decimal(700),
    )

    found = await client.fetch_order(placed["id"], SYMBOL)
    (listed,) = await client.fetch_open_orders(SYMBOL)

    for order in (found, listed):
        check_order(client, {}, "fetchOrder", order, SYMBOL, SOON_MS)
        assert (order["status"], order["price"]) == ("open", 70000)
        assert (order["amount"], order["filled"], order["remaining"]) == (0.04, 0.01, 0.03)
        assert (order["cost"], order["average"]) == (700, 70000)


async def test_a_cancelled_order_is_cancelled_and_no_longer_open(client: Any) -> None:
    placed = await client.create_order(SYMBOL, "limit", "buy", 0.01, 60000)

    cancelled = await client.cancel_order(placed["id"], SYMBOL)

    assert cancelled["id"] == placed["id"]
    assert (await client.fetch_order(placed["id"], SYMBOL))["status"] == "canceled"
    assert await client.fetch_open_orders(SYMBOL) == []


async def test_a_market_sell_is_asked_in_base_and_read_as_filled(
    client: Any, world: FakeWorld
) -> None:
    placed = await client.create_order(SYMBOL, "market", "sell", 0.02)
    order = await client.fetch_order(placed["id"], SYMBOL)

    check_order(client, {}, "fetchOrder", order, SYMBOL, SOON_MS)
    assert (world.asked[0].amount, world.asked[0].quote_amount) == (Decimal("0.02"), None)
    assert (order["status"], order["type"]) == ("closed", "market")
    assert (order["amount"], order["filled"], order["remaining"]) == (0.02, 0.02, 0)
    assert order["average"] == 64000.5


async def test_a_market_buy_by_cost_spends_that_and_no_more(client: Any, world: FakeWorld) -> None:
    placed = await client.create_order(SYMBOL, "market", "buy", 0.02, None, {"cost": 1280.01})
    order = await client.fetch_order(placed["id"], SYMBOL)

    check_order(client, {}, "fetchOrder", order, SYMBOL, SOON_MS)
    assert (world.asked[0].amount, world.asked[0].quote_amount) == (None, Decimal("1280.01"))
    assert (order["status"], order["cost"]) == ("closed", 1280.01)
    assert order["filled"] == pytest.approx(0.02)
    assert order["average"] == pytest.approx(64000.5)


@pytest.mark.parametrize("rule", REFUSALS)
async def test_a_refused_order_raises_and_places_nothing(
    client: Any, world: FakeWorld, rule: str
) -> None:
    world.refuses = rule

    with pytest.raises(REFUSALS[rule]) as raised:
        await client.create_order(SYMBOL, "limit", "buy", 0.01, 60000)

    assert not isinstance(raised.value, ccxt.AuthenticationError | ccxt.OperationFailed)
    assert world.placed == {}


@pytest.mark.parametrize("act", ["fetch_order", "cancel_order"])
async def test_an_order_nobody_placed_is_not_found(client: Any, act: str) -> None:
    with pytest.raises(REFUSALS["order_not_found"]):
        await getattr(client, act)("4711", SYMBOL)


@pytest.mark.parametrize(
    ("word", "time_in_force"),
    [("IOC", TimeInForce.IOC), ("FOK", TimeInForce.FOK), ("PO", TimeInForce.POST_ONLY)],
)
async def test_a_time_in_force_reaches_the_world(
    client: Any, world: FakeWorld, word: str, time_in_force: TimeInForce
) -> None:
    await client.create_order(SYMBOL, "limit", "buy", 0.01, 60000, {"timeInForce": word})

    assert [asked.time_in_force for asked in world.asked] == [time_in_force]


@pytest.mark.parametrize("numbers", [{"amount": 0.01, "price": -1}, {"amount": -1, "price": 6e4}])
async def test_a_negative_number_never_reaches_the_world(
    client: Any, world: FakeWorld, numbers: dict[str, float]
) -> None:
    with pytest.raises(ccxt.ExchangeError):
        await client.create_order(SYMBOL, "limit", "buy", **numbers)

    assert world.placed == {}


@pytest.mark.parametrize("rule", [*REFUSALS, "a rule of tomorrow"])
def test_every_rule_has_a_refusal_that_looks_like_no_success(exchange: str, rule: str) -> None:
    status, body = answers(exchange).render_order_refused(rule)

    assert status in (200, 400, 404)
    assert str(body.get("code", body.get("label"))) not in ("", "0", "00000", "200", "200000")
    assert body.get("msg", body.get("message"))
