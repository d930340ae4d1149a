"""Eight exchanges' clients on one durable market: unmodified CCXT, real fills, real PostgreSQL."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any

import ccxt.async_support as ccxt
import pytest
from sqlalchemy import text

from backend.app.database import Database
from backend.app.sandbox.accounts import EXCHANGES
from backend.app.services.ledger.ledger_proof import prove_ledger
from backend.app.services.venue.replay import replay
from backend.app.services.venue.spot_markets import SPOT_SHARD
from backend.tests.support.ccxt_clients import ccxt_client, lean_config, streaming_client
from backend.tests.support.sandbox import RunningSandbox
from backend.tests.support.venue_doors import doors_on

SYMBOL = "BTC/USDT"
SOON_SECONDS = 60


@pytest.fixture
async def doors(database: Database) -> AsyncIterator[RunningSandbox]:
    async with doors_on(database) as running:
        yield running


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def client(
    stack: AsyncExitStack, doors: RunningSandbox, exchange: str, account: str = "full"
) -> Any:
    keys = doors.account(exchange, account).keys
    found = await stack.enter_async_context(
        ccxt_client(exchange, doors.url(exchange), keys, **lean_config(exchange))
    )
    found.options["createMarketBuyOrderRequiresPrice"] = False
    await found.load_markets()
    return found


async def seen(client: Any, order: dict[str, Any], symbol: str = SYMBOL) -> dict[str, Any]:
    """Return an order as its exchange tells it; where one order cannot be asked for, in a list."""
    if client.id == "bybit":
        found = [*await client.fetch_open_orders(symbol), *await client.fetch_closed_orders(symbol)]
        return next(each for each in found if each["id"] == order["id"])
    told: dict[str, Any] = await client.fetch_order(order["id"], symbol)
    return told


async def test_a_limit_order_of_okx_is_filled_by_one_of_bybit(
    stack: AsyncExitStack, doors: RunningSandbox
) -> None:
    okx = await client(stack, doors, "okx")
    bybit = await client(stack, doors, "bybit")

    made = await okx.create_order(SYMBOL, "limit", "sell", 0.5, 64_000)
    taken = await bybit.create_order(SYMBOL, "limit", "buy", 0.2, 65_000)

    sold, bought = await seen(okx, made), await seen(bybit, taken)
    assert (sold["status"], sold["filled"], sold["remaining"]) == ("open", 0.2, 0.3)
    assert (bought["status"], bought["filled"], bought["average"]) == ("closed", 0.2, 64_000)
    [mine] = await okx.fetch_my_trades(SYMBOL)
    [theirs] = await bybit.fetch_my_trades(SYMBOL)
    assert (mine["takerOrMaker"], mine["fee"]["cost"], mine["fee"]["currency"]) == (
        "maker",
        12.8,
        "USDT",
    )
    assert (theirs["takerOrMaker"], theirs["fee"]["cost"], theirs["fee"]["currency"]) == (
        "taker",
        0.0002,
        "BTC",
    )


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_orders_are_placed_seen_and_cancelled(
    stack: AsyncExitStack, doors: RunningSandbox, exchange: str
) -> None:
    trader = await client(stack, doors, exchange)

    placed = await trader.create_order(SYMBOL, "limit", "buy", 0.01, 50_000)
    [resting] = await trader.fetch_open_orders(SYMBOL)
    locked = (await trader.fetch_balance())["USDT"]
    await trader.cancel_order(placed["id"], SYMBOL)

    assert resting["id"] == placed["id"]
    assert (resting["price"], resting["amount"], resting["status"]) == (50_000, 0.01, "open")
    assert (locked["free"], locked["used"]) == (99_500, 500)
    assert (await trader.fetch_balance())["USDT"]["free"] == 100_000
    assert await trader.fetch_open_orders(SYMBOL) == []


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_an_order_is_filled_and_its_fee_is_told(
    stack: AsyncExitStack, doors: RunningSandbox, exchange: str
) -> None:
    maker = await client(stack, doors, "okx" if exchange != "okx" else "gate", "second")
    taker = await client(stack, doors, exchange)
    await maker.create_order(SYMBOL, "limit", "sell", 1, 60_000)

    order = await taker.create_order(SYMBOL, "limit", "buy", 0.1, 61_000)

    told = await seen(taker, order)
    [trade] = await taker.fetch_my_trades(SYMBOL)
    assert (told["status"], told["filled"], told["cost"]) == ("closed", 0.1, 6_000)
    assert (trade["price"], trade["amount"], trade["side"]) == (60_000, 0.1, "buy")
    assert (trade["fee"]["cost"], trade["fee"]["currency"]) == (0.0001, "BTC")
    assert (await taker.fetch_balance())["BTC"]["total"] == pytest.approx(2.5999)


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_an_order_beyond_what_one_has_is_refused(
    stack: AsyncExitStack, doors: RunningSandbox, exchange: str
) -> None:
    trader = await client(stack, doors, exchange)

    with pytest.raises(ccxt.InsufficientFunds):
        await trader.create_order(SYMBOL, "limit", "sell", 50, 60_000)

    assert (await trader.fetch_balance())["BTC"]["used"] == 0


async def test_an_empty_book_is_told_empty_and_a_price_all_the_same(
    stack: AsyncExitStack, doors: RunningSandbox
) -> None:
    trader = await client(stack, doors, "binance")

    book, ticker = await trader.fetch_order_book(SYMBOL), await trader.fetch_ticker(SYMBOL)
    order = await trader.create_order(SYMBOL, "market", "sell", 0.01)

    assert (book["bids"], book["asks"]) == ([], [])
    assert ticker["bid"] < ticker["last"] < ticker["ask"]
    assert (order["status"], order["filled"]) == ("expired", 0)


async def test_a_post_only_order_that_would_trade_ends_at_once(
    stack: AsyncExitStack, doors: RunningSandbox
) -> None:
    maker = await client(stack, doors, "binance")
    okx = await client(stack, doors, "okx")
    await maker.create_order(SYMBOL, "limit", "sell", 0.1, 60_000)

    order = await okx.create_order(SYMBOL, "limit", "buy", 0.1, 60_000, {"postOnly": True})

    told = await okx.fetch_order(order["id"], SYMBOL)
    assert (told["status"], told["filled"]) == ("canceled", 0)


async def test_a_post_only_order_that_would_trade_is_refused_where_exchanges_refuse_it(
    stack: AsyncExitStack, doors: RunningSandbox
) -> None:
    okx = await client(stack, doors, "okx")
    binance = await client(stack, doors, "binance")
    await okx.create_order(SYMBOL, "limit", "sell", 0.1, 60_000)

    with pytest.raises(ccxt.OrderImmediatelyFillable):
        await binance.create_order(SYMBOL, "limit", "buy", 0.1, 60_000, {"postOnly": True})

    assert await binance.fetch_open_orders(SYMBOL) == []


@pytest.mark.parametrize("exchange", ["okx", "gate"])
async def test_an_immediate_order_that_finds_nobody_is_cancelled(
    stack: AsyncExitStack, doors: RunningSandbox, exchange: str
) -> None:
    trader = await client(stack, doors, exchange)

    order = await trader.create_order(SYMBOL, "limit", "buy", 0.01, 60_000, {"timeInForce": "IOC"})

    told = await seen(trader, order)
    assert (told["status"], told["filled"]) == ("canceled", 0)


async def test_gate_refuses_all_or_nothing_where_there_is_not_enough(
    stack: AsyncExitStack, doors: RunningSandbox
) -> None:
    gate = await client(stack, doors, "gate")
    okx = await client(stack, doors, "okx")
    await okx.create_order(SYMBOL, "limit", "sell", 0.05, 60_000)
    asked = SYMBOL, "limit", "buy"

    with pytest.raises(ccxt.ExchangeError, match="FOK_NOT_FILL"):
        await gate.create_order(*asked, 0.1, 60_000, {"timeInForce": "FOK"})
    whole = await gate.create_order(*asked, 0.05, 60_000, {"timeInForce": "FOK"})

    assert (whole["status"], whole["filled"]) == ("closed", 0.05)


async def test_a_name_of_an_order_is_used_once(
    stack: AsyncExitStack, doors: RunningSandbox
) -> None:
    trader = await client(stack, doors, "binance")
    named = {"newClientOrderId": "mine"}
    await trader.create_order(SYMBOL, "limit", "buy", 0.01, 50_000, named)

    with pytest.raises(ccxt.InvalidOrder):
        await trader.create_order(SYMBOL, "limit", "buy", 0.01, 50_000, named)

    assert len(await trader.fetch_open_orders(SYMBOL)) == 1


async def test_what_all_doors_hold_is_what_was_given(
    stack: AsyncExitStack, doors: RunningSandbox, database: Database
) -> None:
    traders = [await client(stack, doors, exchange) for exchange in EXCHANGES]
    for number, trader in enumerate(traders):
        side = ("buy", "sell")[number % 2]
        for _ in range(3):
            await trader.create_order(SYMBOL, "limit", side, 0.013 * (number + 1), 60_000)

    held: defaultdict[str, Decimal] = defaultdict(Decimal)
    for trader in traders:
        for asset, amount in (await trader.fetch_balance())["total"].items():
            held[asset] += Decimal(str(amount))
    async with database.snapshot() as session:
        rows = await session.execute(
            text("SELECT asset, balance FROM ledger_accounts WHERE kind = 'fees'")
        )
        fees = dict(rows.all())
    proof = await prove_ledger(database)
    replayed = await replay(database, SPOT_SHARD)
    assert held["BTC"] + fees["BTC"] == Decimal("2.5") * len(EXCHANGES)
    assert held["USDT"] + fees["USDT"] == 100_000 * len(EXCHANGES)
    assert min(fees["BTC"], fees["USDT"]) > 0
    assert proof.findings == []
    assert (replayed.difference, replayed.orders) == (None, 3 * len(EXCHANGES))


async def test_the_streams_tell_of_the_venue(stack: AsyncExitStack, doors: RunningSandbox) -> None:
    okx = await client(stack, doors, "okx")
    keys = doors.account("binance", "full").keys
    listener = await stack.enter_async_context(
        streaming_client("binance", doors.url("binance"), keys, **lean_config("binance"))
    )
    listener.newUpdates = True
    await listener.load_markets()
    async with asyncio.timeout(SOON_SECONDS):
        orders = asyncio.create_task(listener.watch_my_trades(SYMBOL))
        public = asyncio.create_task(listener.watch_trades(SYMBOL))
        await listener.authenticate({"type": "spot"})
        await okx.create_order(SYMBOL, "limit", "sell", 0.01, 60_000)
        # Its book goes on changing: the ask of now is gone when it is bought.
        best_ask = (await listener.watch_order_book(SYMBOL))["asks"][0][:2]
        order = await listener.create_order(SYMBOL, "limit", "buy", 0.01, 60_000)
        [mine] = await orders
        # CCXT does not say when it has subscribed to the trades of all, only what came after.
        while not public.done():
            await okx.create_order(SYMBOL, "limit", "sell", 0.01, 60_000)
            await listener.create_order(SYMBOL, "limit", "buy", 0.01, 60_000)
        seen_by_all = (await public)[-1]

    assert best_ask == [60_000, 0.01]
    assert (mine["order"], mine["fee"]["cost"], mine["fee"]["currency"]) == (
        order["id"],
        0.00001,
        "BTC",
    )
    assert (seen_by_all["price"], seen_by_all["amount"]) == (60_000, 0.01)
