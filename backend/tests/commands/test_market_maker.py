"""`strongroom venue make-market` on a real house: two sides, with the price, and nothing left."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import text

from backend.app.commands.house_client import HouseClient, Login, house_session
from backend.app.commands.market_maker import MarketMaker, read_key
from backend.app.commands.market_quotes import Plan
from backend.app.config import Settings
from backend.app.enums import KeyScope
from backend.app.errors import ConfigurationError
from backend.tests.support.api_keys import api_key
from backend.tests.support.live_house import LiveHouse, live_house, until
from backend.tests.support.people import person
from backend.tests.support.venue import led

PLAN = Plan(("BTC/USDT",), levels=3, spread_bps=20, threshold_bps=10, seed=7, every_seconds=0.05)
STRONGROOM = Path(sys.executable).with_name("strongroom")
PROGRAM_SECONDS_MAX = 120
BOOK = "/api/v1/markets/BTCUSDT/book"


@pytest.fixture
async def house(settings: Settings, database_url: str) -> AsyncIterator[LiveHouse]:
    async with live_house(database_url, settings) as house:
        for engine in house.services.engines.values():
            await led(engine)
        await house.keep_symbol("BTC/USDT")
        await tell_price(house, "64000")
        yield house


async def tell_price(house: LiveHouse, price: str, *, stale: bool = False) -> None:
    """Let a price be the last known one, as the refresher writes it."""
    async with house.services.database.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO latest_prices (symbol, price, source, as_of, received_at,"
                " candidate_count, stale_because) VALUES ('BTC/USDT', :price, 'binance', now(),"
                " now(), 0, :because) ON CONFLICT (symbol) DO UPDATE SET price = excluded.price,"
                " as_of = now(), received_at = now(), stale_because = excluded.stale_because"
            ),
            {"price": Decimal(price), "because": "quarantined" if stale else None},
        )
    await house.services.market.board.forget()


def address(house: LiveHouse) -> str:
    return f"http://127.0.0.1:{house.port}"


class Run:
    """A market maker at work, and what it says."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.stopping = asyncio.Event()

    async def says(self, words: str, times: int = 1) -> None:
        """Wait until it has said these words so many times."""
        await until(lambda: sum(words in line for line in self.said) >= times)


@asynccontextmanager
async def started(
    url: str, login: Login | None = None, plan: Plan = PLAN, **limits: Any
) -> AsyncIterator[tuple[Run, "asyncio.Task[int]"]]:
    """Let a market maker run as long as the block lasts."""
    run = Run()
    async with house_session() as session:
        client = HouseClient(session, url, login or Login.new_user("market-maker"))
        maker = MarketMaker(client, url, plan, run.said.append, **limits)
        task = asyncio.create_task(maker.run(run.stopping))
        try:
            yield run, task
        finally:
            task.cancel()


@asynccontextmanager
async def quoting(url: str, login: Login | None = None) -> AsyncIterator[Run]:
    """Let a market maker run; at the end of the block it is told to stop, and must end well."""
    async with started(url, login) as (run, task):
        yield run
        run.stopping.set()
        assert await task == 0


async def book(house: LiveHouse) -> tuple[list[Decimal], list[Decimal]]:
    async with aiohttp.ClientSession() as session, session.get(address(house) + BOOK) as answer:
        told = await answer.json()
    bids, asks = ([Decimal(each["price"]) for each in told[side]] for side in ("bids", "asks"))
    return bids, asks


async def counted(house: LiveHouse, what: str) -> int:
    async with house.services.database.snapshot() as session:
        return int(await session.scalar(text(f"SELECT count(*) FROM {what}")) or 0)


async def test_a_book_of_two_sides_stands_around_the_price(house: LiveHouse) -> None:
    async with quoting(address(house)) as run:
        await run.says("BTC/USDT around 64000: 3 bids, 3 asks")

        bids, asks = await book(house)

    assert bids == [Decimal(63936), Decimal(63872), Decimal(63808)]
    assert asks == [Decimal(64064), Decimal(64128), Decimal(64192)]


async def test_the_book_moves_with_the_price_and_never_trades_with_itself(
    house: LiveHouse,
) -> None:
    async with quoting(address(house)) as run:
        for price in ("64000", "66000", "60000", "60100"):
            await tell_price(house, price)
            await run.says(f"around {price}")
            bids, asks = await book(house)
            assert (len(bids), len(asks)) == (3, 3)
            assert bids[0] < Decimal(price) < asks[0]

    assert await counted(house, "trades") == 0
    assert not any("refused" in line for line in run.said)


async def test_a_price_that_hardly_moves_writes_nothing(house: LiveHouse) -> None:
    async with quoting(address(house)) as run:
        await run.says("around 64000")
        placed = await counted(house, "orders")
        await tell_price(house, "64050")
        await tell_price(house, "70000", stale=True)
        await run.says("no fresh price")

        assert await counted(house, "orders") == placed == 6


async def test_what_others_have_taken_is_quoted_anew(house: LiveHouse) -> None:
    bob = await person(house.services, "bob")
    key = await api_key(house.services, bob, KeyScope.READ, KeyScope.TRADE)
    async with quoting(address(house)) as run, house_session() as session:
        await run.says("around 64000")
        taker = HouseClient(session, address(house), Login(key.api_key))
        deposit = {"asset": "USDT", "amount": "1000000"}
        await taker.ask("POST", "/wallets/deposits", deposit, {"Idempotency-Key": "bob"})
        bought = {"symbol": "BTC/USDT", "side": "buy", "type": "limit", "price": "64150"}
        await taker.ask("POST", "/orders", {**bought, "quantity": "1", "time_in_force": "ioc"})

        await run.says("around 64000", times=2)

        assert [len(side) for side in await book(house)] == [3, 3]


async def test_at_the_end_no_order_is_left_and_a_key_has_its_funds_once(house: LiveHouse) -> None:
    alice = await person(house.services, "alice")
    key = await api_key(house.services, alice, KeyScope.READ, KeyScope.TRADE)
    for _ in range(2):
        async with quoting(address(house), Login(key.api_key)) as run:
            await run.says("around 64000")
        assert run.said[-1] == "6 orders taken back; none is left open."

    assert await counted(house, "orders WHERE status = 'open'") == 0
    assert await counted(house, "venue_transfers") == 2


async def test_what_a_killed_run_left_is_taken_back_and_nothing_of_other_markets(
    house: LiveHouse,
) -> None:
    alice = await person(house.services, "alice")
    key = await api_key(house.services, alice, KeyScope.READ, KeyScope.TRADE)
    async with house_session() as session:
        earlier = HouseClient(session, address(house), Login(key.api_key))
        for base in ("BTC", "ETH"):
            deposit = {"asset": base, "amount": "1"}
            await earlier.ask("POST", "/wallets/deposits", deposit, {"Idempotency-Key": base})
            left = {"symbol": f"{base}/USDT", "side": "sell", "price": "90000", "quantity": "1"}
            await earlier.ask("POST", "/orders", left)
        async with quoting(address(house), Login(key.api_key)) as run:
            await run.says("around 64000")

            left_open = "orders WHERE status = 'open' AND price = 9000000"
            assert await counted(house, left_open) == 1
            assert await counted(house, f"{left_open} AND instrument_id = 5") == 0


async def test_a_house_that_goes_and_comes_back_is_quoted_again(
    settings: Settings, database_url: str
) -> None:
    async with live_house(database_url, settings) as first:
        for engine in first.services.engines.values():
            await led(engine)
        await first.keep_symbol("BTC/USDT")
        await tell_price(first, "64000")
        async with quoting(address(first)) as run:
            await run.says("around 64000")
            first.services.engines[1]._is_stopping = True
            await tell_price(first, "65000")
            await run.says("does not answer")
            first.services.engines[1]._is_stopping = False

            await run.says("The house is back.")
            await run.says("around 65000")

            assert [len(side) for side in await book(first)] == [3, 3]


async def test_a_house_that_stays_away_is_given_up_in_clear_words(house: LiveHouse) -> None:
    async with started(address(house), away_seconds_max=1) as (run, task):
        await run.says("around 64000")
        house.services.engines[1]._is_stopping = True
        await tell_price(house, "65000")

        with pytest.raises(ConfigurationError, match="has not answered for 1 seconds"):
            await task


async def test_where_nothing_answers_that_is_said_at_once() -> None:
    async with started("http://127.0.0.1:9") as (_, task):
        with pytest.raises(ConfigurationError, match="make run"):
            await task


async def test_a_market_that_is_not_there_is_named(house: LiveHouse) -> None:
    async with started(address(house), plan=replace(PLAN, symbols=("NO/PE",))) as (_, task):
        with pytest.raises(ConfigurationError, match=r"NO/PE is there\. There are: BTC/USDT, ETH"):
            await task


async def test_a_key_that_may_not_trade_is_refused_in_clear_words(house: LiveHouse) -> None:
    alice = await person(house.services, "alice")
    key = await api_key(house.services, alice, KeyScope.READ)

    async with started(address(house), Login(key.api_key)) as (_, task):
        with pytest.raises(ConfigurationError, match="The house refuses"):
            await task


@pytest.mark.slow
async def test_ctrl_c_leaves_no_order(house: LiveHouse) -> None:
    words = ("venue", "make-market", "--url", address(house), "--symbol", "BTC/USDT")
    process = await asyncio.create_subprocess_exec(
        *(STRONGROOM, *words),
        stdout=subprocess.PIPE,
        env={"PATH": os.environ["PATH"]},
    )
    assert process.stdout is not None
    async with asyncio.timeout(PROGRAM_SECONDS_MAX):
        while b"around" not in await process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        rest = await process.stdout.read()
        assert await process.wait() == 0

    assert rest.decode() == "10 orders taken back; none is left open.\n"
    assert await counted(house, "orders WHERE status = 'open'") == 0


def test_a_key_comes_from_a_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("srk_one\n")

    assert read_key(file, {"STRONGROOM_API_KEY": "srk_two"}) == "srk_one"
    assert read_key(None, {"STRONGROOM_API_KEY": " srk_two "}) == "srk_two"
    assert read_key(None, {}) is None
    for content in ("", "\x00\x01", "é"):
        file.write_text(content)
        with pytest.raises(ConfigurationError):
            read_key(file, {})
    with pytest.raises(ConfigurationError):
        read_key(tmp_path / "none", {})
