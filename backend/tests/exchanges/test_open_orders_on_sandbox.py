"""Open orders of all eight: placed by CCXT's own client, listed by the vault's connector."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio

from backend.app.errors import CredentialRefused, ExchangeThrottled, ExchangeUnreachable
from backend.app.exchanges.connector import Connector
from backend.app.exchanges.registry import SUPPORTED
from backend.app.exchanges.verification import ExchangeKeys
from backend.app.exchanges.wire import SigningKeys
from backend.app.secret_value import SecretValue
from backend.tests.support.ccxt_clients import ccxt_client, lean_config
from backend.tests.support.sandbox import RunningSandbox, patient

SYMBOLS = ("BTC/USDT", "ETH/USDT")


def exchange_keys(keys: SigningKeys) -> ExchangeKeys:
    passphrase = None if keys.passphrase is None else SecretValue(keys.passphrase)
    return ExchangeKeys(keys.api_key, SecretValue(keys.api_secret), passphrase)


@pytest_asyncio.fixture
async def connector(sandbox: RunningSandbox) -> AsyncIterator[Connector]:
    made = Connector(patient(sandbox.base_url))
    yield made
    await made.close()


async def rest(client: Any, symbol: str, away: float = 0.5) -> Any:
    last = (await client.fetch_ticker(symbol))["last"]
    price = client.price_to_precision(symbol, last * away)
    return await client.create_order(symbol, "limit", "buy", 0.01, float(price))


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_orders_that_rest_are_listed_with_their_symbols(
    sandbox: RunningSandbox, connector: Connector, exchange: str
) -> None:
    keys = sandbox.account(exchange, "second").keys
    config = lean_config(exchange)
    config["options"]["fetchOrder"] = {"acknowledged": True}
    async with ccxt_client(exchange, sandbox.url(exchange), keys, **config) as ccxt:
        placed = [await rest(ccxt, symbol) for symbol in SYMBOLS]
        told = [await ccxt.fetch_order(order["id"], order["symbol"]) for order in placed]
        listed = await connector.open_orders(exchange, exchange_keys(keys))
        for order in placed:
            await ccxt.cancel_order(order["id"], order["symbol"])
        afterwards = await connector.open_orders(exchange, exchange_keys(keys))

    assert listed.is_complete
    assert [(o.order_id, o.symbol, o.side, o.order_type) for o in listed.orders] == [
        (str(o["id"]), o["symbol"], "buy", "limit") for o in told
    ]
    assert [o.price for o in listed.orders] == [Decimal(str(o["price"])) for o in told]
    assert {(o.amount, o.filled, o.remaining) for o in listed.orders} == {
        (Decimal("0.01"), Decimal(0), Decimal("0.01"))
    }
    assert all(o.created_at is not None for o in listed.orders)
    assert afterwards.orders == ()
    assert afterwards.is_complete


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_an_account_without_orders_has_none(
    sandbox: RunningSandbox, connector: Connector, exchange: str
) -> None:
    keys = exchange_keys(sandbox.account(exchange, "read_only").keys)

    assert (await connector.open_orders(exchange, keys)).orders == ()


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_a_key_that_is_no_longer_known_is_refused_with_reason_and_advice(
    sandbox: RunningSandbox, connector: Connector, exchange: str
) -> None:
    good = sandbox.account(exchange, "full").keys
    keys = exchange_keys(SigningKeys("0" * 24, good.api_secret, good.passphrase))

    with pytest.raises(CredentialRefused) as refused:
        await connector.open_orders(exchange, keys)

    assert refused.value.facts["standing"] == "invalid"
    assert refused.value.facts["advice"] in refused.value.detail


@pytest.mark.parametrize("exchange", SUPPORTED)
@pytest.mark.parametrize(
    ("name", "error"), [("throttled", ExchangeThrottled), ("maintenance", ExchangeUnreachable)]
)
async def test_an_exchange_that_will_not_say_is_no_verdict(
    sandbox: RunningSandbox, connector: Connector, exchange: str, name: str, error: type[Exception]
) -> None:
    keys = exchange_keys(sandbox.account(exchange, name).keys)

    with pytest.raises(error):
        await connector.open_orders(exchange, keys)


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_balances_are_read_without_the_passport(
    sandbox: RunningSandbox, connector: Connector, exchange: str
) -> None:
    account = sandbox.account(exchange, "full")

    balances = await connector.balances(exchange, exchange_keys(account.keys))

    assert {b.asset: b.total for b in balances} == {
        b.asset: b.total for b in account.balances if b.total
    }
