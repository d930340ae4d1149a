"""A rotation over HTTP: real PostgreSQL, real keys of the sandbox, old and new of one exchange."""

from typing import Any

import pytest
from httpx2 import AsyncClient

from backend.app.clock import Clock, utc_now
from backend.app.config import Settings
from backend.app.container import Container
from backend.tests.support.people import Person, person
from backend.tests.support.sandbox import RunningSandbox
from backend.tests.support.settings import sandbox_settings

CREDENTIALS = "/api/v1/credentials"


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


def pair(sandbox: RunningSandbox, exchange: str, name: str) -> dict[str, Any]:
    keys = sandbox.account(exchange, name).keys
    given = {
        "api_key": keys.api_key,
        "api_secret": keys.api_secret,
        "passphrase": keys.passphrase,
    }
    return {part: value for part, value in given.items() if value is not None}


async def bound(client: AsyncClient, alice: Person, exchange: str, keys: dict[str, Any]) -> str:
    body = {"exchange_name": exchange, **keys}
    stored = await client.post(CREDENTIALS, json=body, headers=alice.headers)
    assert stored.status_code == 201, stored.text
    return f"{CREDENTIALS}/{stored.json()['id']}"


@pytest.mark.parametrize("exchange", ["binance", "okx"])
async def test_a_key_is_rotated_and_taken_back(
    client: AsyncClient, alice: Person, sandbox: RunningSandbox, exchange: str
) -> None:
    old, new = pair(sandbox, exchange, "full"), pair(sandbox, exchange, "second")
    one = await bound(client, alice, exchange, old)
    before = (await client.get(one, headers=alice.headers)).json()["api_key_masked"]

    rotated = await client.post(f"{one}/rotation", json=new, headers=alice.headers)
    verdict = await client.post(f"{one}/verify", headers=alice.headers)
    after = (await client.get(one, headers=alice.headers)).json()["api_key_masked"]
    restored = await client.post(f"{one}/rotation/restore", headers=alice.headers)
    shown = await client.get(f"{one}/rotation", headers=alice.headers)

    assert (rotated.status_code, restored.status_code) == (200, 200)
    assert verdict.json()["is_valid"] is True
    assert (rotated.json()["current"]["state"], rotated.json()["pending"]) == ("current", None)
    assert before != after
    assert shown.json()["current"]["api_key_masked"] == before
    assert shown.json()["previous"]["api_key_masked"] == after
    for answer in (rotated, restored, shown):
        assert not any(part in answer.text for part in [*old.values(), *new.values()])


async def test_a_key_that_may_do_less_waits_for_a_word_and_a_wrong_one_is_dropped(
    client: AsyncClient, alice: Person, sandbox: RunningSandbox
) -> None:
    one = await bound(client, alice, "binance", pair(sandbox, "binance", "full"))
    reader = pair(sandbox, "binance", "read_only")
    wrong = {**reader, "api_secret": "x" * 64}

    refused = await client.post(f"{one}/rotation", json=wrong, headers=alice.headers)
    smaller = await client.post(f"{one}/rotation", json=reader, headers=alice.headers)
    again = await client.post(f"{one}/rotation", json=reader, headers=alice.headers)
    without_body = await client.post(f"{one}/rotation/verify", headers=alice.headers)
    accepted = await client.post(
        f"{one}/rotation/verify", json={"accept_smaller_rights": True}, headers=alice.headers
    )
    nothing = await client.delete(f"{one}/rotation", headers=alice.headers)

    codes = [
        (answer.status_code, answer.json().get("code"))
        for answer in (refused, smaller, again, without_body, accepted, nothing)
    ]
    assert codes == [
        (400, "credential-refused"),
        (409, "rotation-rights-smaller"),
        (409, "rotation-pending"),
        (409, "rotation-rights-smaller"),
        (200, None),
        (404, "key-version-not-found"),
    ]
    assert [each["right"] for each in smaller.json()["missing"]] == ["can_trade"]
