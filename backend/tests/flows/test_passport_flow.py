"""The passport over HTTP: real PostgreSQL, the sandbox's real keys."""

from typing import Any

import pytest
from httpx2 import AsyncClient

from backend.app.clock import Clock, utc_now
from backend.app.config import Settings
from backend.app.container import Container
from backend.app.enums import Role
from backend.app.exchanges.registry import SUPPORTED
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


def asked(sandbox: RunningSandbox, exchange: str, name: str, **other: Any) -> dict[str, Any]:
    keys = sandbox.account(exchange, name).keys
    pair = {"api_key": keys.api_key, "api_secret": keys.api_secret, "passphrase": keys.passphrase}
    given = {part: value for part, value in pair.items() if value is not None}
    return {"exchange_name": exchange, **given, **other}


async def test_a_key_that_can_withdraw_is_bound_only_when_that_is_meant(
    client: AsyncClient, alice: Person, sandbox: RunningSandbox
) -> None:
    told = {}
    for exchange in SUPPORTED:
        body = asked(sandbox, exchange, "withdrawal_enabled")
        refused = await client.post(CREDENTIALS, json=body, headers=alice.headers)
        bound = await client.post(
            CREDENTIALS, json={**body, "allow_withdrawal": True}, headers=alice.headers
        )
        told[exchange] = (
            refused.status_code,
            refused.json().get("code"),
            bound.status_code,
            bound.json().get("can_withdraw"),
        )

    expected = dict.fromkeys(SUPPORTED, (400, "withdrawal-enabled", 201, "yes"))
    # Gate does not tell whether its right to the wallet includes withdrawals: taken, and said.
    assert told == {**expected, "gate": (201, None, 409, None)}
    listed = (await client.get(CREDENTIALS, headers=alice.headers)).json()
    assert {each["exchange_name"]: each["can_withdraw"] for each in listed} == {
        **dict.fromkeys(SUPPORTED, "yes"),
        "gate": "unknown",
    }


async def test_passport_and_history_are_read_back_as_they_were_issued(
    client: AsyncClient, alice: Person, sandbox: RunningSandbox
) -> None:
    body = asked(sandbox, "bybit", "expiring_soon")
    stored = (await client.post(CREDENTIALS, json=body, headers=alice.headers)).json()
    one = f"{CREDENTIALS}/{stored['id']}"
    verdict = (await client.post(f"{one}/verify", headers=alice.headers)).json()

    passport = (await client.get(f"{one}/passport", headers=alice.headers)).json()
    first = (await client.get(f"{one}/checks?limit=1", headers=alice.headers)).json()
    cursor = first["next_cursor"]
    rest = (await client.get(f"{one}/checks?cursor={cursor}", headers=alice.headers)).json()

    assert passport["passport"] == verdict["passport"]
    assert passport["checked_at"] == verdict["checked_at"]
    assert passport["passport"]["evidence"]["can_trade"] == "key_info"
    assert [check["passport"] for check in first["items"]] == [verdict["passport"]]
    assert [check["standing"] for check in rest["items"]] == ["valid"]
    assert rest["next_cursor"] is None


async def test_an_end_that_is_near_is_told_and_can_be_marked_as_read(
    client: AsyncClient, alice: Person, sandbox: RunningSandbox
) -> None:
    body = asked(sandbox, "bybit", "expiring_soon")
    await client.post(CREDENTIALS, json=body, headers=alice.headers)

    (event,) = (await client.get("/api/v1/notifications", headers=alice.headers)).json()["items"]
    read = await client.post(f"/api/v1/notifications/{event['id']}/read", headers=alice.headers)

    assert (event["kind"], event["facts"]["within_days"]) == ("key_ends_soon", 14)
    assert event["read_at"] is None
    assert read.json()["read_at"] is not None


async def test_administrators_see_who_shares_a_key_and_nobody_else_does(
    client: AsyncClient, services: Container, alice: Person, sandbox: RunningSandbox
) -> None:
    bob, root = await person(services, "bob"), await person(services, "root2", Role.ADMIN)
    body = asked(sandbox, "okx", "full")
    for owner in (alice, bob):
        await client.post(CREDENTIALS, json=body, headers=owner.headers)

    seen = await client.get("/api/v1/admin/notifications", headers=root.headers)
    denied = await client.get("/api/v1/admin/notifications", headers=alice.headers)

    (event,) = seen.json()["items"]
    assert event["kind"] == "key_shared"
    assert event["facts"]["others"][0]["user_id"] == alice.user_id
    assert body["api_key"] not in seen.text
    assert denied.status_code == 403


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "cursor=0", f"cursor={2**63}"])
async def test_a_page_that_cannot_be_is_refused(
    client: AsyncClient, alice: Person, query: str
) -> None:
    answer = await client.get(f"/api/v1/notifications?{query}", headers=alice.headers)

    assert answer.status_code == 422
