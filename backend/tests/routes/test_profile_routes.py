"""Oneself: seen, changed, and with a new password."""

from typing import Any

import pytest
from httpx2 import AsyncClient

from backend.app.container import Container
from backend.tests.support.people import PASSWORD, audited, bearer, person, registered, signed_in

NEW_PASSWORD = "eight white swans under the bridge"


async def change(client: AsyncClient, headers: dict[str, str], **fields: Any) -> Any:
    asked = {"current_password": PASSWORD, "new_password": NEW_PASSWORD, **fields}
    return await client.post("/api/v1/me/password", json=asked, headers=headers)


async def test_only_what_is_named_changes(client: AsyncClient, services: Container) -> None:
    alice = await person(services, "alice")

    named = await client.patch("/api/v1/me", json={"full_name": "Al"}, headers=alice.headers)
    moved = await client.patch("/api/v1/me", json={"email": "NEW@x.org"}, headers=alice.headers)
    unnamed = await client.patch("/api/v1/me", json={"full_name": None}, headers=alice.headers)

    assert (named.json()["full_name"], named.json()["email"]) == ("Al", "alice@example.com")
    assert (moved.json()["full_name"], moved.json()["email"]) == ("Al", "new@x.org")
    assert unnamed.json()["full_name"] is None
    assert unnamed.json()["updated_at"] > named.json()["created_at"]


@pytest.mark.parametrize("field", ["role", "is_active", "username", "auth_version", "id"])
async def test_nobody_promotes_oneself(
    client: AsyncClient, services: Container, field: str
) -> None:
    alice = await person(services, "alice")

    answer = await client.patch("/api/v1/me", json={field: "admin"}, headers=alice.headers)

    assert answer.status_code == 422


async def test_anothers_address_is_taken(client: AsyncClient, services: Container) -> None:
    alice = await person(services, "alice")
    await person(services, "bob")

    answer = await client.patch(
        "/api/v1/me", json={"email": "bob@example.com"}, headers=alice.headers
    )

    assert answer.status_code == 409


async def test_a_new_password_ends_every_other_session_and_keeps_this_one(
    client: AsyncClient, services: Container
) -> None:
    await registered(client, "alice")
    here, there = await signed_in(client, "alice"), await signed_in(client, "alice")
    for tokens in (here, there):
        assert (await client.get("/api/v1/me", headers=bearer(tokens["access"]))).is_success

    changed = await change(client, bearer(here["access"]))

    assert changed.status_code == 204
    assert (await client.get("/api/v1/me", headers=bearer(here["access"]))).status_code == 200
    assert (await client.get("/api/v1/me", headers=bearer(there["access"]))).status_code == 401
    for tokens, status in ((here, 200), (there, 401)):
        answer = await client.post("/api/v1/auth/refresh", json={"refresh": tokens["refresh"]})
        assert answer.status_code == status
    await signed_in(client, "alice", NEW_PASSWORD)


async def test_the_current_password_is_needed_and_cannot_be_guessed_here(
    client: AsyncClient, services: Container
) -> None:
    await registered(client, "alice")
    headers = bearer((await signed_in(client, "alice"))["access"])

    answers = [await change(client, headers, current_password="guess") for _ in range(6)]

    assert [each.status_code for each in answers] == [400] * 5 + [429]
    told = [line for line in await audited(services) if "password_changed" in line]
    assert ['"denied"' in line for line in told] == [False] * 5 + [True]
    await signed_in(client, "alice")


async def test_a_password_guessed_early_is_refused(client: AsyncClient) -> None:
    await registered(client, "alice")
    headers = bearer((await signed_in(client, "alice"))["access"])

    answer = await change(client, headers, new_password="password123")

    assert answer.json()["code"] == "password-refused"


async def test_the_trail_tells_of_the_change(client: AsyncClient, services: Container) -> None:
    await registered(client, "alice")
    headers = bearer((await signed_in(client, "alice"))["access"])
    await change(client, headers, current_password="guess")
    await change(client, headers)

    changes = [line for line in await audited(services) if "password_changed" in line]

    assert ['"failed"' in line for line in changes] == [True, False]
