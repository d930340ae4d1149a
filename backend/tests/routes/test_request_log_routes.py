"""Administrators find any request: by whom, by route, by status, by its name, by time."""

import json
from dataclasses import replace
from typing import Any

import pytest
from httpx2 import AsyncClient

from backend.app.config import RequestLogSettings, Settings
from backend.app.container import Container
from backend.app.enums import Role
from backend.tests.conftest import HandClock
from backend.tests.support.people import person
from backend.tests.support.settings import settings_for_tests

LOG = "/api/v1/admin/requests"


@pytest.fixture
def settings() -> Settings:
    kept = RequestLogSettings(_env_file=None, request_log_days=14)
    return replace(settings_for_tests(), request_log=kept)


async def found(client: AsyncClient, headers: dict[str, str], **wanted: Any) -> list[Any]:
    answer = await client.get(LOG, headers=headers, params=wanted)
    assert answer.status_code == 200, answer.text
    items: list[Any] = answer.json()["items"]
    return items


async def test_a_request_is_found_with_who_asked_and_how_it_went(
    client: AsyncClient, services: Container
) -> None:
    alice = await person(services, "alice")
    admin = await person(services, "root", role=Role.ADMIN)
    await client.get(
        "/api/v1/credentials/17", headers={**alice.headers, "X-Request-ID": "looking-1"}
    )
    await client.post("/api/v1/auth/token", json={"username": "nobody", "password": "x" * 12})
    await services.request_writer.tick()

    (mine,) = await found(client, admin.headers, request_id="looking-1")
    (login,) = await found(client, admin.headers, status=401)

    assert mine["route"] == "/api/v1/credentials/{credential_id}"
    assert (mine["method"], mine["status"], mine["user_id"]) == ("GET", 404, alice.user_id)
    assert mine["response_bytes"] > 100
    assert mine["duration_us"] > 0
    assert (login["user_id"], login["address"]) == (None, "127.0.0.1")
    assert login["request_bytes"] > 30


async def test_no_body_no_query_and_no_secret_is_kept(
    client: AsyncClient, services: Container
) -> None:
    admin = await person(services, "root", role=Role.ADMIN)
    secret = "hidden-in-plain-sight-0123456789"
    await client.post(
        f"/api/v1/auth/token?leak={secret}", json={"username": secret, "password": secret}
    )
    await client.get(f"/api/v1/nowhere/{secret}", headers={"Authorization": f"Bearer {secret}"})
    await services.request_writer.tick()

    everything = await found(client, admin.headers)

    assert len(everything) == 2
    assert secret not in json.dumps(everything)


async def test_pages_lead_through_all_of_it_once(
    client: AsyncClient, services: Container, clock: HandClock
) -> None:
    admin = await person(services, "root", role=Role.ADMIN)
    for number in range(7):
        await client.get("/healthz", headers={"X-Request-ID": f"request-{number}"})
        clock.advance(seconds=number % 2)
    await services.request_writer.tick()

    seen, cursor = [], None
    while True:
        params = {"limit": 3, "route": "/healthz"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get(LOG, headers=admin.headers, params=params)).json()
        seen += [each["request_id"] for each in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == [f"request-{number}" for number in range(6, -1, -1)]


async def test_times_bound_what_is_shown(
    client: AsyncClient, services: Container, clock: HandClock
) -> None:
    admin = await person(services, "root", role=Role.ADMIN)
    await client.get("/healthz")
    clock.advance(hours=1)
    await client.get("/healthz")
    await services.request_writer.tick()
    moment = clock().isoformat()

    assert len(await found(client, admin.headers, **{"from": moment})) == 1
    assert len(await found(client, admin.headers, to=moment)) == 1


@pytest.mark.parametrize(
    "wanted",
    [
        {"limit": 201},
        {"limit": 0},
        {"cursor": "1.99999999999999999999"},
        {"cursor": "999999999999999999.1"},
        {"cursor": "x"},
        {"status": 99},
        {"method": "get"},
        {"from": "yesterday"},
        {"unheard": "of"},
    ],
)
async def test_what_cannot_be_looked_for_is_refused(
    client: AsyncClient, services: Container, wanted: dict[str, Any]
) -> None:
    admin = await person(services, "root", role=Role.ADMIN)

    answer = await client.get(LOG, headers=admin.headers, params=wanted)

    assert answer.status_code in (
        {200, 422} if wanted == {"cursor": "99999999999999999.1"} else {422}
    )


async def test_only_administrators_may_look(client: AsyncClient, services: Container) -> None:
    alice = await person(services, "alice")

    assert (await client.get(LOG, headers=alice.headers)).status_code == 403
    assert (await client.get(LOG)).status_code == 401
