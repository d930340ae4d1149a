"""A sandbox in a process of its own reaches the venue that another one leads."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from pydantic import SecretStr

from backend.app.config import CacheSettings, Settings
from backend.app.engine_container import EngineContainer
from backend.app.errors import ConfigurationError
from backend.app.exchanges.market_values import OrderRequest, OrderStatus, OrderType, Side
from backend.app.money import plain
from backend.app.sandbox.accounts import seeded_accounts
from backend.app.sandbox.app import unix_now_ms
from backend.app.sandbox.venue_world import VenueWorld
from backend.app.sandbox_container import SandboxContainer
from backend.app.services.venue.spot_markets import SPOT_SHARD
from backend.tests.support.settings import settings_for_tests
from backend.tests.support.valkey import Valkey
from backend.tests.support.venue import led

SEED = b"a seed"


@pytest.fixture
def apart(valkey: Valkey) -> Settings:
    return replace(settings_for_tests(), cache=CacheSettings(redis_url=SecretStr(valkey.url)))


@pytest.fixture
async def world(apart: Settings, database_url: str) -> AsyncIterator[VenueWorld]:
    engine, sandbox = EngineContainer(apart, database_url), SandboxContainer(apart, database_url)
    await engine.start()
    await sandbox.start()
    await led(engine.venue.engines[SPOT_SHARD])
    accounts = seeded_accounts(SEED, unix_now_ms())
    desk = sandbox.venue.desk(SPOT_SHARD)
    yield VenueWorld(SEED, unix_now_ms, accounts, desk, sandbox.database)
    await sandbox.stop()
    await engine.stop()


async def test_orders_of_its_doors_reach_the_engine_elsewhere(world: VenueWorld) -> None:
    price = world.market("BTC/USDT").tick_size * 6_000_000
    amount = world.market("BTC/USDT").step_size * 1_000
    sell = OrderRequest("BTC/USDT", Side.SELL, OrderType.LIMIT, amount, price)

    resting = await world.place("okx:full", sell)
    bought = await world.place("bybit:full", replace(sell, side=Side.BUY))

    assert (resting.status, resting.client_order_id) == (OrderStatus.OPEN, "")
    assert (bought.status, bought.filled, bought.filled_quote) == (
        OrderStatus.FILLED,
        amount,
        amount * price,
    )
    held = {balance.asset: balance for balance in await world.balances("bybit:full")}
    assert plain(held["BTC"].available) == "2.50999"


def test_without_redis_it_could_reach_nobody(database_url: str) -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        SandboxContainer(settings_for_tests(), database_url)
