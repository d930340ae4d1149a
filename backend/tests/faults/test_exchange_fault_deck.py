"""With each fault of the sandbox's deck on, no stored key changes state because of it."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient, Response

from backend.app.clock import Clock, utc_now
from backend.app.config import Settings
from backend.app.container import Container
from backend.app.exchanges.registry import SUPPORTED
from backend.app.exchanges.wire import SigningKeys, WireRequest
from backend.app.main import AppRole, create_app
from backend.app.sandbox.fault_deck import Fault
from backend.tests.support.people import bearer, registered, signed_in
from backend.tests.support.sandbox import RunningSandbox, running_sandbox
from backend.tests.support.settings import settings_for_tests

pytestmark = pytest.mark.slow

CREDENTIALS = "/api/v1/credentials"
NO_VERDICT = {429, 503}
RULES: Mapping[Fault, Mapping[str, Any]] = {
    Fault.LATENCY: {"milliseconds": 100},
    Fault.CLOCK_SKEW: {"milliseconds": 3_600_000},
}


@pytest.fixture(scope="module")
def faulty() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        yield running


@pytest.fixture
def settings(faulty: RunningSandbox) -> Iterator[Settings]:
    yield settings_for_tests(sandbox_url=faulty.base_url)
    play(faulty)


@pytest.fixture
def clock() -> Clock:
    return utc_now


def play(sandbox: RunningSandbox, *rules: Mapping[str, Any]) -> None:
    body = json.dumps({"rules": rules}).encode()
    status, told = sandbox.send("", WireRequest("POST", "/control/faults", body=body))
    assert status == 200, told


def asked(exchange: str, keys: SigningKeys) -> dict[str, Any]:
    pair = {"api_key": keys.api_key, "api_secret": keys.api_secret, "passphrase": keys.passphrase}
    return {
        "exchange_name": exchange,
        **{name: value for name, value in pair.items() if value is not None},
    }


@asynccontextmanager
async def restarted(settings: Settings, database_url: str) -> AsyncIterator[AsyncClient]:
    """Yield a client of a new house on the same database: its circuit breakers are closed."""
    container = Container(settings, database_url, utc_now)
    await container.open()
    transport = ASGITransport(app=create_app(AppRole.API, container), client=("127.0.0.1", 50000))
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
    await container.stop()


def is_no_verdict_or(answer: Response, good: int) -> bool:
    return answer.status_code == good or answer.status_code in NO_VERDICT


@pytest.mark.parametrize("fault", Fault)
async def test_a_fault_of_the_exchange_changes_no_key(
    client: AsyncClient,
    settings: Settings,
    database_url: str,
    faulty: RunningSandbox,
    fault: Fault,
) -> None:
    await registered(client, "alice")
    alice = bearer((await signed_in(client, "alice"))["access"])
    bound = [
        await client.post(
            CREDENTIALS, json=asked(exchange, faulty.account(exchange, "full").keys), headers=alice
        )
        for exchange in SUPPORTED
    ]
    assert {answer.status_code for answer in bound} == {201}
    before = (await client.get(CREDENTIALS, headers=alice)).json()

    play(faulty, {"fault": fault, **RULES.get(fault, {})})
    verified, replaced, added = [], [], []
    for stored in before:
        exchange, one = stored["exchange_name"], f"{CREDENTIALS}/{stored['id']}"
        other = asked(exchange, faulty.account(exchange, "second").keys)
        third = asked(exchange, faulty.account(exchange, "sub_account").keys)
        verified.append(await client.post(f"{one}/verify", headers=alice))
        del other["exchange_name"]
        replaced.append(await client.put(one, json=other, headers=alice))
        added.append(await client.post(CREDENTIALS, json=third, headers=alice))
    play(faulty)

    # Either the exchange was heard and said yes, or nothing was learned; never that a key is bad.
    assert all(is_no_verdict_or(answer, 200) for answer in (*verified, *replaced))
    assert all(is_no_verdict_or(answer, 201) for answer in added)
    assert all(a.json()["is_valid"] for a in verified if a.status_code == 200)
    if fault not in RULES:
        assert {a.status_code for a in (*verified, *replaced, *added)} <= NO_VERDICT

    async with restarted(settings, database_url) as again:
        after = (await again.get(CREDENTIALS, headers=alice)).json()
        assert [a.status_code for a in added].count(201) == len(after) - len(before)
        for was, now, put in zip(before, after, replaced, strict=False):
            assert now["is_active"] is True
            if put.status_code != 200:
                assert now["api_key_masked"] == was["api_key_masked"]
                assert now["has_trading_permission"] == was["has_trading_permission"]
                if fault not in RULES:
                    assert now == was
            works = await again.post(f"{CREDENTIALS}/{now['id']}/verify", headers=alice)
            assert works.json()["is_valid"] is True, works.text
