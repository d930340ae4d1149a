"""Everybody, for an administrator."""

import asyncio
from typing import Any

import pytest
from httpx2 import AsyncClient

from backend.app.container import Container
from backend.app.enums import Role
from backend.tests.support.people import PASSWORD, Person, audited, bearer, person, signed_in

USERS = "/api/v1/users"


@pytest.fixture
async def admin(services: Container) -> Person:
    return await person(services, "root", Role.ADMIN)


def somebody(**changes: Any) -> dict[str, Any]:
    return {
        "username": "alice", "email": "alice@example.com", "password": PASSWORD, **changes
    }  # fmt: skip


async def test_an_administrator_enters_somebody_with_a_role(
    client: AsyncClient, admin: Person
) -> None:
    made = await client.post(USERS, json=somebody(role="auditor"), headers=admin.headers)

    assert made.status_code == 201
    assert made.json()["role"] == "auditor"
    await signed_in(client, "alice")


async def test_the_list_goes_on_where_it_stopped_and_shows_no_hash(
    client: AsyncClient, services: Container, admin: Person
) -> None:
    names = ["root", *(f"user{n}" for n in range(4))]
    for name in names[1:]:
        await person(services, name)

    seen: list[str] = []
    cursor: str | None = "0"
    while cursor is not None:
        page = await client.get(USERS, params={"limit": 2, "cursor": cursor}, headers=admin.headers)
        assert "hash" not in page.text
        assert "no password matches this" not in page.text
        seen += [each["username"] for each in page.json()["items"]]
        cursor = page.json()["next_cursor"]

    assert seen == names


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "cursor=-1", "cursor=9999999999999999999"]
)
async def test_a_page_beyond_its_bounds_is_refused(
    client: AsyncClient, admin: Person, query: str
) -> None:
    answer = await client.get(f"{USERS}?{query}", headers=admin.headers)

    assert answer.status_code == 422


@pytest.mark.parametrize("user_id", ["0", "-1", "x", "9223372036854775808", "1.5"])
async def test_an_id_that_cannot_be_is_refused(
    client: AsyncClient, admin: Person, user_id: str
) -> None:
    answer = await client.get(f"{USERS}/{user_id}", headers=admin.headers)

    assert answer.status_code == 422


@pytest.mark.parametrize("asked", [{"is_active": False}, {"role": "auditor"}])
async def test_a_disabled_or_moved_user_is_signed_out_at_once(
    client: AsyncClient, services: Container, admin: Person, asked: dict[str, Any]
) -> None:
    alice = await person(services, "alice")
    assert (await client.get("/api/v1/me", headers=alice.headers)).status_code == 200

    answer = await client.patch(f"{USERS}/{alice.user_id}", json=asked, headers=admin.headers)

    assert answer.status_code == 200
    assert (await client.get("/api/v1/me", headers=alice.headers)).status_code == 401


async def test_a_corrected_address_signs_nobody_out(
    client: AsyncClient, services: Container, admin: Person
) -> None:
    alice = await person(services, "alice")

    answer = await client.patch(
        f"{USERS}/{alice.user_id}", json={"email": "al@x.org"}, headers=admin.headers
    )

    assert answer.json()["email"] == "al@x.org"
    assert (await client.get("/api/v1/me", headers=alice.headers)).status_code == 200


async def test_a_deleted_user_is_gone_and_signed_out(
    client: AsyncClient, services: Container, admin: Person
) -> None:
    alice = await person(services, "alice")
    assert (await client.get("/api/v1/me", headers=alice.headers)).status_code == 200

    gone = await client.delete(f"{USERS}/{alice.user_id}", headers=admin.headers)
    again = await client.delete(f"{USERS}/{alice.user_id}", headers=admin.headers)

    assert (gone.status_code, again.status_code) == (204, 404)
    assert (await client.get("/api/v1/me", headers=alice.headers)).status_code == 401


@pytest.mark.parametrize("asked", [{"role": "user"}, {"is_active": False}, None])
async def test_the_last_active_administrator_stays(
    client: AsyncClient, services: Container, admin: Person, asked: dict[str, Any] | None
) -> None:
    disabled = await person(services, "former", Role.ADMIN)
    former = f"{USERS}/{disabled.user_id}"
    await client.patch(former, json={"is_active": False}, headers=admin.headers)
    own = f"{USERS}/{admin.user_id}"

    answer = (
        await client.delete(own, headers=admin.headers)
        if asked is None
        else await client.patch(own, json=asked, headers=admin.headers)
    )

    assert answer.status_code == 409
    assert answer.json()["code"] == "last-administrator"
    assert (await client.get(USERS, headers=admin.headers)).status_code == 200


async def test_two_administrators_who_demote_each_other_leave_one(
    client: AsyncClient, services: Container, admin: Person
) -> None:
    other = await person(services, "other", Role.ADMIN)
    for each in (admin, other):
        await client.get(USERS, headers=each.headers)

    await asyncio.gather(
        client.patch(f"{USERS}/{other.user_id}", json={"role": "user"}, headers=admin.headers),
        client.patch(f"{USERS}/{admin.user_id}", json={"role": "user"}, headers=other.headers),
    )

    left = [await client.get(USERS, headers=each.headers) for each in (admin, other)]
    assert sorted(each.status_code for each in left) == [200, 401]


async def test_what_an_administrator_looks_at_and_does_is_recorded(
    client: AsyncClient, services: Container, admin: Person
) -> None:
    alice = await person(services, "alice")
    path = f"{USERS}/{alice.user_id}"
    await client.get(USERS, headers=admin.headers)
    await client.get(path, headers=admin.headers)
    await client.patch(path, json={"role": "operator"}, headers=admin.headers)
    await client.delete(path, headers=admin.headers)

    own = [line for line in await audited(services) if f'"id":{admin.user_id},' in line]
    acts = ("user.read", "user.read", "user.role_changed", "user.deleted")
    assert all(act in line for act, line in zip(acts, own, strict=True))


async def test_reaching_too_far_is_recorded(client: AsyncClient, services: Container) -> None:
    alice = await person(services, "alice")

    answer = await client.get(USERS, headers=alice.headers)

    assert answer.status_code == 403
    last = (await audited(services))[-1]
    assert '"act":"access.denied"' in last
    assert '"purpose":"list_users"' in last


async def test_bearer_is_read_in_any_case_and_nothing_else_is(
    client: AsyncClient, admin: Person
) -> None:
    token = admin.headers["Authorization"].removeprefix("Bearer ")

    assert (await client.get(USERS, headers={"Authorization": f"bearer {token}"})).is_success
    for header in (token, f"Basic {token}", "Bearer", "Bearer ", f"Bearer {token} x"):
        answer = await client.get(USERS, headers={"Authorization": header})
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert (await client.get(USERS, headers=bearer(token))).status_code == 200
