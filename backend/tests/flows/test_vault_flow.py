"""The main job over HTTP: real PostgreSQL, and the sandbox's real signatures over real loopback."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from httpx2 import AsyncClient, Response

from backend.app.clock import Clock, utc_now
from backend.app.config import Settings
from backend.app.container import Container
from backend.app.exchanges.reasons import Reason
from backend.app.exchanges.registry import SUPPORTED
from backend.app.exchanges.wire import SigningKeys
from backend.tests.support.people import bearer, person, registered, signed_in
from backend.tests.support.sandbox import RunningSandbox
from backend.tests.support.seeded_reasons import CASES, expected_reason, keys_for
from backend.tests.support.settings import sandbox_settings

CREDENTIALS = "/api/v1/credentials"
TRY = "/api/v1/exchange/verify"
NO_VERDICT = {
    Reason.REGION_RESTRICTED,
    Reason.CLOCK_SKEW,
    Reason.RATE_LIMITED,
    Reason.EXCHANGE_UNAVAILABLE,
    Reason.UNKNOWN,
}


@pytest.fixture
def settings(sandbox: RunningSandbox) -> Settings:
    return sandbox_settings(sandbox.base_url)


@pytest.fixture
def clock() -> Clock:
    """The sandbox reads the real clock, so both ends must."""
    return utc_now


@pytest.fixture
async def alice(services: Container) -> dict[str, str]:
    return (await person(services, "alice")).headers


def asked(exchange: str, keys: SigningKeys) -> dict[str, Any]:
    members = {
        "exchange_name": exchange,
        "api_key": keys.api_key,
        "api_secret": keys.api_secret,
        "passphrase": keys.passphrase,
    }
    return {name: value for name, value in members.items() if value is not None}


def of_keys(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "exchange_name"}


def holds_nothing_of(keys: SigningKeys, *answers: Response) -> bool:
    secrets = [keys.api_key, keys.api_secret, keys.passphrase]
    return not any(
        secret in f"{answer.text} {answer.headers}"
        for answer in answers
        for secret in secrets
        if secret is not None
    )


def outcome(answer: Response) -> tuple[int, str, bool]:
    body = answer.json()
    return answer.status_code, body["reason"], bool(body.get("advice"))


def expected_outcomes(reason: Reason) -> tuple[tuple[int, str, bool], tuple[int, str, bool]]:
    """Return what trying and what binding a key refused for this reason must answer."""
    if reason in NO_VERDICT:
        status = 429 if reason is Reason.RATE_LIMITED else 503
        return (status, reason, False), (status, reason, False)
    return (200, reason, True), (400, reason, True)


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_a_key_lives_its_whole_life(
    client: AsyncClient, alice: dict[str, str], sandbox: RunningSandbox, exchange: str
) -> None:
    first = sandbox.account(exchange, "full").keys
    second = sandbox.account(exchange, "second").keys
    wrong = replace(second, api_secret=second.api_secret[::-1])

    bound = await client.post(CREDENTIALS, json=asked(exchange, first), headers=alice)
    assert bound.status_code == 201, bound.text
    stored = bound.json()
    assert stored["exchange_name"] == exchange
    assert stored["api_key_masked"] == f"{first.api_key[:4]}...{first.api_key[-4:]}"
    assert (stored["is_active"], stored["has_trading_permission"]) == (True, True)
    assert stored["last_verified_at"] is not None
    assert stored["created_at"] <= stored["updated_at"]
    one = f"{CREDENTIALS}/{stored['id']}"

    listed = await client.get(CREDENTIALS, headers=alice)
    shown = await client.get(one, headers=alice)
    assert listed.json() == [stored] == [shown.json()]

    again = await client.post(CREDENTIALS, json=asked(exchange, first), headers=alice)
    assert (again.status_code, again.json()["code"]) == (409, "credential-exists")

    verified = await client.post(f"{one}/verify", headers=alice)
    assert verified.status_code == 200, verified.text
    assert verified.json()["is_valid"] is True
    stamped = (await client.get(one, headers=alice)).json()
    assert stamped["last_verified_at"] > stored["last_verified_at"]

    refused = await client.put(one, json=of_keys(asked(exchange, wrong)), headers=alice)
    assert (refused.status_code, refused.json()["code"]) == (400, "credential-refused")
    assert refused.json()["reason"] == expected_reason(exchange, "a wrong secret")
    assert (await client.get(one, headers=alice)).json() == stamped
    # Not only shown as before: the old pair is what is still stored and works.
    assert (await client.post(f"{one}/verify", headers=alice)).json()["is_valid"] is True

    changed = await client.put(one, json=of_keys(asked(exchange, second)), headers=alice)
    assert changed.status_code == 200, changed.text
    assert changed.json()["api_key_masked"] == f"{second.api_key[:4]}...{second.api_key[-4:]}"
    after = await client.post(f"{one}/verify", headers=alice)
    owner = sandbox.account(exchange, "second").owner_uid
    assert after.json()["account_info"]["owner_uid"] in {owner, None}
    assert (await client.get(CREDENTIALS, headers=alice)).json()[0]["id"] == stored["id"]

    removed = await client.delete(one, headers=alice)
    assert (removed.status_code, removed.content) == (204, b"")
    assert (await client.get(one, headers=alice)).status_code == 404
    assert (await client.get(CREDENTIALS, headers=alice)).json() == []
    answers = (bound, listed, shown, again, verified, refused, changed, after, removed)
    assert holds_nothing_of(first, *answers)
    assert holds_nothing_of(second, *answers)


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_each_bad_account_gives_its_reason_and_is_not_bound(
    client: AsyncClient, alice: dict[str, str], sandbox: RunningSandbox, exchange: str
) -> None:
    names = [name for of, name in CASES if of == exchange]
    told = {}

    for name in names:
        keys = keys_for(sandbox, exchange, name)
        tried = await client.post(TRY, json=asked(exchange, keys), headers=alice)
        bound = await client.post(CREDENTIALS, json=asked(exchange, keys), headers=alice)
        assert holds_nothing_of(keys, tried, bound)
        told[name] = outcome(tried), outcome(bound)

    assert told == {name: expected_outcomes(expected_reason(exchange, name)) for name in names}
    assert (await client.get(CREDENTIALS, headers=alice)).json() == []


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_trying_a_key_tells_what_it_may_do_and_stores_nothing(
    client: AsyncClient, alice: dict[str, str], sandbox: RunningSandbox, exchange: str
) -> None:
    full = asked(exchange, sandbox.account(exchange, "full").keys)
    reader = asked(exchange, sandbox.account(exchange, "read_only").keys)

    trades = (await client.post(TRY, json=full, headers=alice)).json()
    reads = (await client.post(TRY, json=reader, headers=alice)).json()

    assert (trades["is_valid"], trades["has_trading_permission"]) == (True, True)
    assert (reads["is_valid"], reads["has_trading_permission"]) == (True, False)
    balances = {b["asset"]: b["total"] for b in trades["account_info"]["balances"]}
    assert balances == {"USDT": "100000", "BTC": "2.5", "ETH": "40", "SOL": "500"}
    assert (await client.get(CREDENTIALS, headers=alice)).json() == []


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [("huobi", "htx"), ("HUOBI", "htx"), ("gateio", "gate"), ("gate.io", "gate"), ("OKX", "okx")],
)
async def test_an_exchange_answers_to_the_names_people_type(
    client: AsyncClient,
    alice: dict[str, str],
    sandbox: RunningSandbox,
    typed: str,
    canonical: str,
) -> None:
    keys = asked(canonical, sandbox.account(canonical, "full").keys)

    bound = await client.post(CREDENTIALS, json={**keys, "exchange_name": typed}, headers=alice)
    under_its_own_name = await client.post(CREDENTIALS, json=keys, headers=alice)

    assert (bound.status_code, bound.json()["exchange_name"]) == (201, canonical)
    assert under_its_own_name.status_code == 409


async def test_the_eight_are_listed_with_what_each_needs(client: AsyncClient) -> None:
    names = (await client.get("/api/v1/exchange/supported")).json()["exchanges"]
    details = (await client.get("/api/v1/exchanges")).json()

    assert sorted(names) == sorted(SUPPORTED) == sorted(each["id"] for each in details)
    assert {each["id"] for each in details if each["needs_passphrase"]} == {
        "okx",
        "kucoin",
        "bitget",
    }
    assert all(each["rights_to_tick"] and each["key_page"] for each in details)


async def through_the_door(client: AsyncClient, name: str) -> dict[str, str]:
    await registered(client, name)
    return bearer((await signed_in(client, name))["access"])


async def test_two_users_hold_the_same_key_without_seeing_each_other(
    client: AsyncClient, sandbox: RunningSandbox
) -> None:
    alice, bob = [await through_the_door(client, name) for name in ("alice", "bob")]
    keys = asked("okx", sandbox.account("okx", "full").keys)

    hers = await client.post(CREDENTIALS, json=keys, headers=alice)
    his = await client.post(CREDENTIALS, json=keys, headers=bob)
    await client.delete(f"{CREDENTIALS}/{hers.json()['id']}", headers=alice)

    assert (hers.status_code, his.status_code) == (201, 201)
    assert (await client.get(CREDENTIALS, headers=bob)).json() == [his.json()]
    assert (await client.get(f"{CREDENTIALS}/{his.json()['id']}", headers=alice)).status_code == 404
