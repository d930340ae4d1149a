"""Balances, open orders and the portfolio over HTTP: real PostgreSQL, the sandbox's real keys."""

from decimal import Decimal
from typing import Any

import pytest
from httpx2 import AsyncClient

from backend.app.clock import Clock, utc_now
from backend.app.config import Settings
from backend.app.container import Container
from backend.app.exchanges.registry import SUPPORTED
from backend.tests.support.api_keys import api_key, key_headers
from backend.tests.support.ccxt_clients import ccxt_client, lean_config
from backend.tests.support.people import Person, person
from backend.tests.support.sandbox import RunningSandbox
from backend.tests.support.settings import sandbox_settings

CREDENTIALS = "/api/v1/credentials"
SYMBOL = "BTC/USDT"
DOWN = {"okx": "maintenance", "gate": "maintenance", "htx": "expired"}


@pytest.fixture
def settings(sandbox: RunningSandbox) -> Settings:
    return sandbox_settings(sandbox.base_url)


@pytest.fixture
def clock() -> Clock:
    """The sandbox reads the real clock, so both ends must."""
    return utc_now


@pytest.fixture
async def alice(services: Container) -> Person:
    return await person(services, "alice")


async def bound(
    client: AsyncClient, owner: Person, sandbox: RunningSandbox, exchange: str, name: str
) -> int:
    keys = sandbox.account(exchange, name).keys
    pair = {"api_key": keys.api_key, "api_secret": keys.api_secret, "passphrase": keys.passphrase}
    given = {part: value for part, value in pair.items() if value is not None}
    body = {"exchange_name": exchange, **given, "verify": False}
    answer = await client.post(CREDENTIALS, json=body, headers=owner.headers)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_an_order_that_rests_is_listed_and_what_it_binds_is_locked(
    client: AsyncClient, alice: Person, sandbox: RunningSandbox, exchange: str
) -> None:
    one = f"{CREDENTIALS}/{await bound(client, alice, sandbox, exchange, 'second')}"
    keys = sandbox.account(exchange, "second").keys
    async with ccxt_client(exchange, sandbox.url(exchange), keys, **lean_config(exchange)) as ccxt:
        last = (await ccxt.fetch_ticker(SYMBOL))["last"]
        price = float(ccxt.price_to_precision(SYMBOL, last * 1.5))
        placed = await ccxt.create_order(SYMBOL, "limit", "sell", 0.01, price)
        orders = (await client.get(f"{one}/open-orders", headers=alice.headers)).json()
        balances = (await client.get(f"{one}/balances", headers=alice.headers)).json()
        await ccxt.cancel_order(placed["id"], SYMBOL)

    (order,) = orders["orders"]
    assert (order["order_id"], order["symbol"], order["side"]) == (placed["id"], SYMBOL, "sell")
    assert (order["amount"], order["filled"], order["remaining"]) == ("0.01", "0", "0.01")
    assert Decimal(order["price"]) == Decimal(str(price))
    assert orders["is_complete"]
    assert balances["exchange_name"] == exchange
    (bitcoin,) = [row for row in balances["balances"] if row["asset"] == "BTC"]
    assert bitcoin["locked"] == "0.01"


async def test_a_portfolio_goes_without_those_that_are_down_and_names_them(
    client: AsyncClient, alice: Person, sandbox: RunningSandbox
) -> None:
    ids = {
        exchange: await bound(client, alice, sandbox, exchange, DOWN.get(exchange, "full"))
        for exchange in SUPPORTED
    }

    answer = await client.get("/api/v1/portfolio", headers=alice.headers)

    assert answer.status_code == 200
    told = answer.json()
    missing = {
        gap["exchange_name"]: (gap["credential_id"], gap["reason"]) for gap in told["missing"]
    }
    assert missing == {
        "okx": (ids["okx"], "exchange_unavailable"),
        "gate": (ids["gate"], "exchange_unavailable"),
        "htx": (ids["htx"], "key_expired"),
    }
    assert all(gap["advice"] for gap in told["missing"])
    up = [exchange for exchange in SUPPORTED if exchange not in DOWN]
    assert [part["exchange_name"] for part in told["parts"]] == up
    assert amounts(told["totals"]) == summed([amounts(part["balances"]) for part in told["parts"]])


async def test_a_refusal_comes_with_reason_and_advice(
    client: AsyncClient, alice: Person, sandbox: RunningSandbox
) -> None:
    one = f"{CREDENTIALS}/{await bound(client, alice, sandbox, 'bybit', 'expired')}"

    for what in ("balances", "open-orders"):
        answer = await client.get(f"{one}/{what}", headers=alice.headers)

        assert (answer.status_code, answer.json()["code"]) == (400, "credential-refused")
        assert (answer.json()["reason"], bool(answer.json()["advice"])) == ("key_expired", True)


async def test_an_outage_is_no_refusal_of_the_key(
    client: AsyncClient, alice: Person, sandbox: RunningSandbox
) -> None:
    down = f"{CREDENTIALS}/{await bound(client, alice, sandbox, 'okx', 'maintenance')}"
    busy = f"{CREDENTIALS}/{await bound(client, alice, sandbox, 'bybit', 'throttled')}"

    answers = [
        await client.get(f"{one}/{what}", headers=alice.headers)
        for one in (down, busy)
        for what in ("balances", "open-orders")
    ]

    assert [answer.status_code for answer in answers] == [503, 503, 429, 429]
    assert all(answer.headers["Retry-After"] for answer in answers)
    listed = (await client.get(CREDENTIALS, headers=alice.headers)).json()
    assert [credential["is_active"] for credential in listed] == [True, True]


async def test_a_platform_key_that_reads_may_look(
    client: AsyncClient, services: Container, alice: Person, sandbox: RunningSandbox
) -> None:
    one = f"{CREDENTIALS}/{await bound(client, alice, sandbox, 'binance', 'full')}"
    headers = key_headers(await api_key(services, alice))

    paths = (f"{one}/balances", f"{one}/open-orders", "/api/v1/portfolio")
    statuses = [(await client.get(path, headers=headers)).status_code for path in paths]

    assert statuses == [200, 200, 200]


def amounts(balances: list[dict[str, Any]]) -> dict[str, Decimal]:
    return {row["asset"]: Decimal(row["total"]) for row in balances}


def summed(parts: list[dict[str, Decimal]]) -> dict[str, Decimal]:
    assets = {asset for part in parts for asset in part}
    return {asset: sum((p.get(asset, Decimal(0)) for p in parts), Decimal(0)) for asset in assets}
