"""CCXT's own tests, written by its makers for the real exchanges, judge all eight sandboxes."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import ccxt
import pytest

from backend.app.database import Database
from backend.app.exchanges.wire import WireRequest
from backend.app.sandbox.accounts import EXCHANGES
from backend.tests.conformance.harness import SYMBOL, methods_skipped, run
from backend.tests.support.ccxt_clients import ccxt_client, lean_config
from backend.tests.support.sandbox import RunningSandbox, running_sandbox
from backend.tests.support.venue_doors import doors_on

pytestmark = pytest.mark.slow

EVERYWHERE = {
    "loadMarkets",
    "fetchTicker",
    "fetchTickers",
    "fetchOHLCV",
    "fetchTrades",
    "fetchOrderBook",
    "fetchBalance",
    "fetchOpenOrders",
    "fetchClosedOrders",
    "fetchMyTrades",
    "fetchDeposits",
    "createOrder",
}


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        yield running


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_ccxts_own_tests_have_nothing_to_complain_of(
    sandbox: RunningSandbox,
    exchange: str,
    mode: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    await _live_a_little(sandbox, exchange)

    outcome = run(tmp_path, sandbox, exchange, mode)

    reasons = methods_skipped(exchange)
    left_out = "; ".join(f"{name}: {reasons.get(name)}" for name in outcome.skipped)
    record_property(
        "ccxt",
        f"{exchange:8} {mode:5} {len(outcome.tested):2} methods tested,"
        f" {len(outcome.skipped)} skipped ({left_out})",
    )
    assert outcome.complaints == ()
    assert outcome.ended, outcome.output
    assert set(outcome.tested) >= EVERYWHERE
    has = getattr(ccxt, exchange)().has
    assert set(outcome.skipped) == {name for name in reasons if has.get(name)}


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_ccxts_own_tests_trade_on_the_durable_venue(
    database: Database,
    exchange: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    async with doors_on(database) as doors:
        maker = "okx" if exchange != "okx" else "gate"
        await _make_a_market(doors, maker)
        await _live_a_little(doors, exchange)

        outcome = await asyncio.to_thread(run, tmp_path, doors, exchange, "async")

    record_property("ccxt", f"{exchange:8} venue {len(outcome.tested):2} methods tested")
    assert outcome.complaints == ()
    assert outcome.ended, outcome.output
    assert set(outcome.tested) >= EVERYWHERE


async def test_a_sandbox_that_answers_wrongly_is_complained_of(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    await _live_a_little(sandbox, "binance")
    deck = b'{"rules": [{"fault": "garbage", "path": "/api/v3/myTrades"}]}'
    sandbox.send("", WireRequest("POST", "/control/faults", body=deck))

    outcome = run(tmp_path, sandbox, "binance", "sync")

    assert any("fetchMyTrades" in line for line in outcome.complaints), outcome.output
    assert "fetchMyTrades" not in outcome.tested


async def _make_a_market(doors: RunningSandbox, exchange: str) -> None:
    """Let somebody offer and ask around the price, ten levels deep."""
    keys = doors.account(exchange, "second").keys
    config = lean_config(exchange)
    async with ccxt_client(exchange, doors.url(exchange), keys, **config) as client:
        last = (await client.fetch_ticker(SYMBOL))["last"]
        for level in range(1, 11):
            for side, away in (("sell", level), ("buy", -level)):
                price = client.price_to_precision(SYMBOL, last * (1 + away / 1000))
                await client.create_order(SYMBOL, "limit", side, 0.1, float(price))


async def _live_a_little(sandbox: RunningSandbox, exchange: str) -> None:
    """Give the account a past: one order that rests, one that was taken back, one that traded."""
    keys = sandbox.account(exchange, "full").keys
    config = lean_config(exchange)
    async with ccxt_client(exchange, sandbox.url(exchange), keys, **config) as client:
        last = (await client.fetch_ticker(SYMBOL))["last"]
        await client.create_order(SYMBOL, "limit", "buy", 0.01, last * 0.5)
        regretted = await client.create_order(SYMBOL, "limit", "buy", 0.01, last * 0.6)
        await client.cancel_order(regretted["id"], SYMBOL)
        await client.create_order(SYMBOL, "market", "buy", 0.01, last)
