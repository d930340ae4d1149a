"""Registering, signing in, staying in and leaving, through the door."""

import asyncio
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text

from backend.app.container import Container
from backend.tests.support.people import PASSWORD, audited, bearer, registered, signed_in

REGISTER, TOKEN, REFRESH = (f"/api/v1/auth/{verb}" for verb in ("register", "token", "refresh"))


def somebody(**changes: Any) -> dict[str, Any]:
    return {
        "username": "alice", "email": "alice@example.com", "password": PASSWORD, **changes
    }  # fmt: skip


async def refused_login(client: AsyncClient, username: str) -> Any:
    return await client.post(TOKEN, json={"username": username, "password": "not the password"})


async def test_somebody_new_is_an_ordinary_active_user(client: AsyncClient) -> None:
    answer = await client.post(REGISTER, json=somebody(email="Alice@Example.COM"))

    shown = answer.json()
    assert answer.status_code == 201
    assert (shown["username"], shown["email"]) == ("alice", "alice@example.com")
    assert (shown["role"], shown["is_active"]) == ("user", True)
    assert shown["created_at"] <= shown["updated_at"]
    assert "password" not in answer.text
    assert "argon2" not in answer.text


@pytest.mark.parametrize(
    "second",
    [
        somebody(email="other@example.com"),
        somebody(email="other@example.com", username="ALICE"),
        somebody(username="bob"),
        somebody(username="bob", email="ALICE@EXAMPLE.COM"),
    ],
)
async def test_a_taken_name_or_address_is_refused_without_saying_which(
    client: AsyncClient, second: dict[str, Any]
) -> None:
    await client.post(REGISTER, json=somebody())

    answer = await client.post(REGISTER, json=second)

    assert answer.status_code == 409
    assert answer.json()["code"] == "user-exists"
    assert answer.json()["detail"] == "The name or the e-mail address is already taken."


async def test_of_many_who_register_one_name_at_once_one_gets_it(client: AsyncClient) -> None:
    asked = [somebody(email=f"alice{n}@example.com", username="aLiCe"[:5]) for n in range(6)]

    answers = await asyncio.gather(*(client.post(REGISTER, json=each) for each in asked))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"username": "al"}, "username"),
        ({"username": "a" * 51}, "username"),
        ({"username": "alice\n"}, "username"),
        ({"username": "al ice"}, "username"),
        ({"username": "ålice"}, "username"),
        ({"username": 7}, "username"),
        ({"email": "alice"}, "email"),
        ({"email": "alice@"}, "email"),
        ({"email": "a@b@example.com"}, "email"),
        ({"email": "ålice@example.com"}, "email"),
        ({"email": f"{'a' * 64}@{'b' * 60}.example.com"}, "email"),
        ({"email": "alice@example.com\u0000"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "p" * 129}, "password"),
        ({"password": None}, "password"),
        ({"full_name": "n" * 1001}, "full_name"),
        ({"full_name": "nul\u0000"}, "full_name"),
        ({"role": "admin"}, "role"),
        ({"is_active": True}, "is_active"),
        ({"hashed_password": "x"}, "hashed_password"),
    ],
)
async def test_a_field_that_cannot_be_used_is_named(
    client: AsyncClient, changes: dict[str, Any], field: str
) -> None:
    answer = await client.post(REGISTER, json=somebody(**changes))

    assert answer.status_code == 422
    assert {error["loc"][-1] for error in answer.json()["errors"]} == {field}
    assert PASSWORD not in answer.text


@pytest.mark.parametrize("member", ["password", "full_name", "username", "email"])
async def test_half_a_character_is_bad_input_and_no_defect(
    client: AsyncClient, member: str
) -> None:
    fields = [f'"{name}": "{value}"' for name, value in somebody().items() if name != member]
    body = f'{{{", ".join(fields)}, "{member}": "\\ud800aaaaaaaa"}}'

    answer = await client.post(REGISTER, content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 422


@pytest.mark.parametrize("password", ["password123", "my strongroom", "alice in the lock"])
async def test_a_password_that_is_guessed_early_is_refused_by_name(
    client: AsyncClient, password: str
) -> None:
    answer = await client.post(REGISTER, json=somebody(password=password))

    assert answer.status_code == 422
    assert answer.json()["code"] == "password-refused"
    assert password not in answer.text


async def test_the_name_signs_in_in_any_case(client: AsyncClient) -> None:
    await registered(client, "alice")

    tokens = await signed_in(client, "ALICE")
    me = await client.get("/api/v1/me", headers=bearer(tokens["access"]))

    assert set(tokens) == {"access", "refresh", "token_type", "expires_in"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 3600)
    assert me.json()["username"] == "alice"


async def test_wrong_password_unknown_name_and_disabled_user_are_told_alike(
    client: AsyncClient, services: Container
) -> None:
    await registered(client, "alice")
    await registered(client, "carol")
    async with services.database.transaction() as session:
        await session.execute(text("UPDATE users SET is_active = false WHERE username = 'carol'"))

    wrong = await refused_login(client, "alice")
    unknown = await refused_login(client, "nobody")
    disabled = await client.post(TOKEN, json={"username": "carol", "password": PASSWORD})

    said = [
        (each.status_code, {k: v for k, v in each.json().items() if k != "request_id"})
        for each in (wrong, unknown, disabled)
    ]
    assert said[0] == said[1] == said[2]
    assert said[0][0] == 401
    assert wrong.headers["WWW-Authenticate"] == "Bearer"


async def test_known_and_unknown_names_are_delayed_alike(
    client: AsyncClient, services: Container
) -> None:
    await registered(client, "alice")

    known = [await refused_login(client, "alice") for _ in range(6)]
    unknown = [await refused_login(client, "nobody") for _ in range(6)]

    assert [each.status_code for each in known] == [401] * 5 + [429]
    assert [each.status_code for each in unknown] == [401] * 5 + [429]
    assert known[-1].headers["Retry-After"] == unknown[-1].headers["Retry-After"] == "1"


async def test_an_address_has_twenty_attempts_a_minute(client: AsyncClient) -> None:
    answers = [await refused_login(client, f"name{n}") for n in range(21)]

    assert [each.status_code for each in answers] == [401] * 20 + [429]
    assert answers[-1].json()["code"] == "address-throttled"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60


async def test_a_refresh_token_works_once_and_leads_on(client: AsyncClient) -> None:
    await registered(client, "alice")
    first = await signed_in(client, "alice")

    second = (await client.post(REFRESH, json={"refresh": first["refresh"]})).json()
    third = (await client.post(REFRESH, json={"refresh": second["refresh"]})).json()

    assert len({first["refresh"], second["refresh"], third["refresh"]}) == 3
    me = await client.get("/api/v1/me", headers=bearer(third["access"]))
    assert me.status_code == 200


@pytest.mark.parametrize("refresh", ["x" * 43, "x" * 42, "x" * 44, "", "é" * 43, "\u0000" * 43])
async def test_an_invented_refresh_token_is_refused(client: AsyncClient, refresh: str) -> None:
    answer = await client.post(REFRESH, json={"refresh": refresh})

    assert answer.status_code in {401, 422}
    assert len(refresh) < 40 or refresh not in answer.text


async def test_after_logout_neither_token_works(client: AsyncClient) -> None:
    await registered(client, "alice")
    tokens = await signed_in(client, "alice")
    headers = bearer(tokens["access"])
    assert (await client.get("/api/v1/me", headers=headers)).status_code == 200

    left = await client.post("/api/v1/auth/logout", headers=headers)

    assert left.status_code == 204
    assert (await client.get("/api/v1/me", headers=headers)).status_code == 401
    refreshed = await client.post(REFRESH, json={"refresh": tokens["refresh"]})
    assert refreshed.status_code == 401


async def test_logging_out_on_one_device_leaves_the_other(client: AsyncClient) -> None:
    await registered(client, "alice")
    phone, laptop = await signed_in(client, "alice"), await signed_in(client, "alice")

    await client.post("/api/v1/auth/logout", headers=bearer(phone["access"]))

    me = await client.get("/api/v1/me", headers=bearer(laptop["access"]))
    assert me.status_code == 200


async def test_the_device_cookie_is_out_of_reach_of_scripts_and_other_sites(
    client: AsyncClient,
) -> None:
    await registered(client, "alice")

    answer = await client.post(TOKEN, json={"username": "alice", "password": PASSWORD})

    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("strongroom_device=")
    assert {"HttpOnly", "SameSite=strict", "Path=/api/v1/auth"} <= set(cookie.split("; "))


async def test_the_database_holds_no_password_and_no_token(
    client: AsyncClient, services: Container
) -> None:
    await registered(client, "alice")
    tokens = await signed_in(client, "alice")
    tables = ("users", "auth_sessions", "refresh_tokens", "login_throttles", "audit_events")

    async with services.database.snapshot() as session:
        stored = [
            str((await session.execute(text(f"SELECT {table} FROM {table}"))).all())
            for table in tables
        ]

    shown = " ".join(stored)
    assert "$argon2id$" in shown
    for secret in (PASSWORD, tokens["refresh"], tokens["access"]):
        assert secret not in shown
        assert secret.encode().hex() not in shown


async def test_the_trail_tells_of_logins_and_never_what_was_typed(
    client: AsyncClient, services: Container
) -> None:
    await registered(client, "alice")
    await refused_login(client, "alice")
    await refused_login(client, "hunter2-typed-as-a-name")
    await signed_in(client, "alice")

    trail = await audited(services)

    outcomes = [line for line in trail if '"session.login"' in line]
    assert [('"failed"' in line, '"done"' in line) for line in outcomes] == [
        (True, False), (True, False), (False, True),
    ]  # fmt: skip
    assert not any("hunter2" in line or PASSWORD in line for line in trail)
