"""Prices through the public interface: real processes, a real cache, a source that misbehaves."""

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient, HTTPError
from pydantic import SecretStr

from backend.app.config import MarketSettings, Settings
from backend.app.container import Container
from backend.app.main import AppRole, create_app
from backend.tests.support.fake_connector import FakeConnector
from backend.tests.support.people import person
from backend.tests.support.stand_in_binance import StandInBinance, stand_in_binance
from backend.tests.support.valkey import Valkey

pytestmark = pytest.mark.slow

STRONGROOM = Path(sys.executable).with_name("strongroom")
SECONDS_MAX = 120.0
INTERNAL_KEY = secrets.token_urlsafe(48)
BTC = "BTC/USDT"
# If both asked once a second, neither would ask so often between two questions of the other.
IN_A_ROW = 4


@dataclass(frozen=True)
class PriceApi:
    """A process of the role `prices`, and a client of it."""

    url: str
    client: AsyncClient
    process: asyncio.subprocess.Process

    async def price(self) -> dict[str, Any]:
        """Return the price of one symbol, nothing while there is none."""
        try:
            answer = await self.client.get("/prices/btc-usdt")
        except HTTPError:
            return {}
        return dict(answer.json()) if answer.status_code == HTTPStatus.OK else {}

    async def until(self, **expected: Any) -> dict[str, Any]:
        """Wait until the price is as expected."""

        async def is_so() -> dict[str, Any] | None:
            price = await self.price()
            return (
                price if all(price.get(name) == each for name, each in expected.items()) else None
            )

        return await eventually(is_so)


async def eventually(look: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(SECONDS_MAX):
        while not (found := await look()):
            await asyncio.sleep(0.05)
    return found


@asynccontextmanager
async def price_api(
    name: str, source: StandInBinance, database_url: str, home: Path, **variables: str
) -> AsyncIterator[PriceApi]:
    """Run the role without any key of the vault until the block ends."""
    kept = {each: os.environ[each] for each in ("PATH", "HOME", "PYTHONPATH") if each in os.environ}
    process = await asyncio.create_subprocess_exec(
        STRONGROOM,
        *("serve", "--role", "prices"),
        cwd=home,
        env={
            **kept,
            "DATABASE_URL": database_url,
            "PRICES_PORT": "0",
            "SYMBOLS": "BTCUSDT,ETHUSDT",
            "REFRESH_INTERVAL_SECONDS": "1",
            "BINANCE_BASE_URL": f"{source.origin}/{name}",
            "INTERNAL_API_KEY": INTERNAL_KEY,
            **variables,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        url = await _told_url(process)
        async with AsyncClient(base_url=url, timeout=SECONDS_MAX) as client:
            yield PriceApi(url, client, process)
    finally:
        if process.returncode is None:
            process.kill()
        # Its pipe ends with it.
        await process.communicate()


async def _told_url(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(SECONDS_MAX):
        said = (await process.stdout.readuntil(b"Ctrl-C")).decode()
    return next(word for word in said.split() if word.startswith("http://"))


@pytest.fixture
async def source() -> AsyncIterator[StandInBinance]:
    async with stand_in_binance(BTCUSDT='"64000.10"', ETHUSDT='"3200"') as source:
        yield source


async def test_one_of_two_processes_refreshes_and_the_other_takes_over_when_it_is_killed(
    source: StandInBinance, database_url: str, tmp_path: Path
) -> None:
    async with (
        price_api("one", source, database_url, tmp_path) as one,
        price_api("other", source, database_url, tmp_path) as other,
    ):
        await one.until(price="64000.1", stale=False)
        await other.until(price="64000.1")
        refreshing, standing_by = await one_alone_asks(source)
        source.prices["BTCUSDT"] = '"64001"'
        for each in (one, other):
            await each.until(price="64001")

        apis = {"one": one, "other": other}
        os.kill(apis[refreshing].process.pid, signal.SIGKILL)
        source.prices["BTCUSDT"] = '"64002"'
        taken_over = await apis[standing_by].until(price="64002", stale=False)

    assert taken_over["source"] == "binance"
    assert source.askers[-1] == standing_by


async def one_alone_asks(source: StandInBinance) -> tuple[str, str]:
    """Wait until one of two asks again and again while the other does not; return their names."""
    at = len(source.askers)

    async def asks_alone() -> str | None:
        last = source.askers[at:][-IN_A_ROW:]
        return last[0] if len(last) == IN_A_ROW and len(set(last)) == 1 else None

    # Who refreshes may have had to give it up, on a machine that stood still.
    alone = await eventually(asks_alone)
    return (alone, "other") if alone == "one" else (alone, "one")


async def test_a_source_that_is_down_wrong_or_slow_leaves_the_last_price_and_says_so(
    source: StandInBinance, database_url: str, tmp_path: Path, valkey: Valkey
) -> None:
    redis = {"REDIS_URL": valkey.url, "CACHE_TTL_SECONDS": "55"}
    async with price_api("one", source, database_url, tmp_path, **redis) as api:
        fresh = await api.until(price="64000.1", stale=False)

        source.status = HTTPStatus.SERVICE_UNAVAILABLE
        down = await api.until(stale=True)
        source.status = HTTPStatus.OK
        source.prices["BTCUSDT"] = '"0"'
        await api.until(stale_because="no_price")
        valkey.kill()
        source.prices["BTCUSDT"] = "NaN"
        wrong = await api.until(stale_because="no_price")
        source.prices["BTCUSDT"] = '"64003"'
        await api.until(price="64003", stale=False)
        source.hangs = True
        slow = await api.until(stale=True)
        source.hangs = False
        back = await api.until(stale=False)

    assert (down["price"], down["source"]) == ("64000.1", "binance")
    assert wrong["price"] == "64000.1"
    assert (slow["price"], back["price"]) == ("64003", "64003")
    assert fresh["age_ms"] >= 0
    assert set(fresh) == {
        "symbol",
        "price",
        "source",
        "as_of",
        "age_ms",
        "stale",
        "stale_because",
    }


async def test_a_front_end_gets_its_user_with_prices_from_the_price_api_and_alone_without_it(
    source: StandInBinance, database_url: str, tmp_path: Path, settings: Settings
) -> None:
    async with price_api("one", source, database_url, tmp_path) as api:
        await api.until(stale=False)
        first = await _internal(api, limit=1)
        too_many = await _internal(api, limit=201)
        apart = replace(
            settings,
            market=MarketSettings(
                _env_file=None, internal_api_key=SecretStr(INTERNAL_KEY), price_api_url=api.url
            ),
        )
        async with _front(apart, database_url) as ask:
            # Within two seconds it answers, or it counts as away: a busy machine needs another try.
            joined = await eventually(lambda: _with_prices(ask))
            api.process.kill()
            await api.process.wait()
            alone = await ask()
    async with _front(settings, database_url) as ask:
        together = await ask()

    assert [price["symbol"] for price in first.json()["prices"]] == [BTC]
    assert too_many.status_code == 422
    assert joined["user"]["username"] == alone["user"]["username"]
    assert joined["prices_available"]
    assert [price["symbol"] for price in joined["prices"]] == [BTC, "ETH/USDT"]
    assert (alone["prices"], alone["prices_available"]) == ([], False)
    assert alone["because"] == "price_api_away"
    # Where the roles share a process, the table they share is asked.
    assert [price["symbol"] for price in together["prices"]] == [BTC, "ETH/USDT"]
    assert together["missing"] == ["ETHBTC"]


async def _with_prices(ask: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any] | None:
    joined = await ask()
    return joined if joined["prices_available"] else None


async def _internal(api: PriceApi, limit: int) -> Any:
    return await api.client.get(
        f"/internal/price?limit={limit}", headers={"X-Internal-Key": INTERNAL_KEY}
    )


@asynccontextmanager
async def _front(
    settings: Settings, database_url: str
) -> AsyncIterator[Callable[[], Awaitable[dict[str, Any]]]]:
    """Yield a way to ask the API, as somebody signed in, for oneself with prices."""
    services = Container(settings, database_url, connector=FakeConnector())
    await services.start()
    try:
        somebody = await person(services, f"front{secrets.token_hex(4)}")
        transport = ASGITransport(create_app(AppRole.API, services))
        async with AsyncClient(transport=transport, base_url="http://test") as client:

            async def ask() -> dict[str, Any]:
                answer = await client.get("/api/v1/me/prices", headers=somebody.headers)
                assert answer.status_code == HTTPStatus.OK, answer.text
                return dict(answer.json())

            yield ask
    finally:
        await services.stop()
