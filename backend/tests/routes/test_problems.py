"""One form for every answer that says no."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient, Response

from backend.app.container import Container
from backend.app.errors import StrongroomError
from backend.app.main import AppRole, create_app
from backend.app.problems import refusal_problem
from backend.app.routes.problems import OLDER_PREFIX
from backend.tests.conftest import HandClock
from backend.tests.support.people import person
from backend.tests.support.settings import settings_for_tests

MEMBERS = {"type", "title", "status", "code", "detail", "request_id", "timestamp"}


def is_problem(answer: Response, status: int, code: str) -> bool:
    body = answer.json()
    return (
        answer.status_code == body["status"] == status
        and body["code"] == code
        and body["type"] == f"urn:strongroom:problem:{code}"
        and body.keys() >= MEMBERS
        and answer.headers["content-type"] == "application/problem+json"
        and answer.headers["cache-control"] == "no-store"
        and answer.headers["x-request-id"] == body["request_id"]
    )


def every_refusal(kind: type[StrongroomError] = StrongroomError) -> list[type[StrongroomError]]:
    return [kind, *(found for below in kind.__subclasses__() for found in every_refusal(below))]


@pytest.mark.parametrize("kind", every_refusal(), ids=lambda kind: kind.slug)
def test_every_refusal_has_a_status_a_title_and_a_documented_form(
    kind: type[StrongroomError], clock: HandClock
) -> None:
    answer = refusal_problem(kind(retry_after_seconds=3), "a-request", clock())

    assert answer.status_code == kind.status
    assert 400 <= kind.status < 500 or kind.status in {500, 503}
    assert answer.media_type == "application/problem+json"
    assert answer.headers["retry-after"] == "3"
    assert ("www-authenticate" in answer.headers) == (kind.status == 401)


def test_no_two_refusals_share_a_code() -> None:
    codes = [kind.slug for kind in set(every_refusal())]

    assert len(codes) == len(set(codes))


async def test_the_time_is_the_houses_and_in_utc(client: AsyncClient, clock: HandClock) -> None:
    told = (await client.get("/nowhere")).json()["timestamp"]

    assert told == "2026-11-21T12:00:00.000Z"
    assert datetime.fromisoformat(told) == clock()


@pytest.mark.parametrize("path", ["/nowhere", "/api/v1", "/api/v1/credential", "/api/v2/me", "//"])
async def test_an_unknown_path_is_a_problem_that_does_not_repeat_it(
    client: AsyncClient, path: str
) -> None:
    answer = await client.get(path)

    assert is_problem(answer, 404, "not-found")
    assert "/nowhere" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/v1/credentials", {"GET", "POST"}),
        ("PATCH", "/api/v1/credentials/1", {"GET", "PUT", "DELETE"}),
        ("GET", "/api/v1/auth/token", {"POST"}),
        ("POST", "/healthz", {"GET"}),
        ("OPTIONS", "/api/v1/credentials", {"GET", "POST"}),
        ("TRACE", "/api/v1/me", {"GET", "PATCH"}),
        ("MADEUP", "/api/v1/me", {"GET", "PATCH"}),
    ],
)
async def test_a_method_a_path_does_not_have_is_a_problem_that_says_which_it_has(
    client: AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    answer = await client.request(method, path)

    assert is_problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["allow"].split(", ")) == allowed


async def test_nobody_is_told_how_to_sign_in(client: AsyncClient) -> None:
    answer = await client.get("/api/v1/credentials")

    assert is_problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_login_comes_before_everything_else_that_could_be_wrong(
    client: AsyncClient,
) -> None:
    answers = [
        await client.get("/api/v1/credentials/not-a-number"),
        await client.post("/api/v1/credentials", json={"wrong": 1}),
        await client.put("/api/v1/credentials/1", content=b"{"),
    ]

    assert [answer.status_code for answer in answers] == [401, 401, 401]


async def test_a_long_list_of_mistakes_is_cut(client: AsyncClient, services: Container) -> None:
    alice = await person(services, "alice")
    wrong = {f"unknown_{letter}": 1 for letter in "abcdefghijklmnopqrstuvwxyz"}

    answer = await client.post("/api/v1/credentials", json=wrong, headers=alice.headers)

    assert is_problem(answer, 422, "validation")
    assert len(answer.json()["errors"]) == 20
    assert all(error.keys() == {"loc", "type", "msg"} for error in answer.json()["errors"])


async def test_an_answer_that_shows_credentials_is_kept_by_no_cache(
    client: AsyncClient, services: Container
) -> None:
    alice = await person(services, "alice")

    answer = await client.get("/api/v1/credentials", headers=alice.headers)

    assert answer.headers["cache-control"] == "no-store"


@asynccontextmanager
async def with_origins(services: Container, *origins: str) -> AsyncIterator[AsyncClient]:
    server = services.settings.server.model_copy(update={"cors_origins": list(origins)})
    services.settings = replace(services.settings, server=server)
    transport = ASGITransport(app=create_app(AppRole.API, services))
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def preflight(origin: str) -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization",
    }


async def test_a_browser_of_an_allowed_origin_may_ask(services: Container) -> None:
    async with with_origins(services, "https://desk.example.com") as client:
        asked = await client.options(
            "/api/v1/credentials/1", headers=preflight("https://desk.example.com")
        )
        answer = await client.get(
            "/api/v1/credentials", headers={"Origin": "https://desk.example.com"}
        )

    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == "https://desk.example.com"
    assert "PUT" in asked.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in asked.headers
    assert is_problem(answer, 401, "unauthenticated")
    assert answer.headers["access-control-allow-origin"] == "https://desk.example.com"


async def test_a_browser_of_another_origin_may_not(services: Container) -> None:
    async with with_origins(services, "https://desk.example.com") as client:
        asked = await client.options(
            "/api/v1/credentials/1", headers=preflight("https://elsewhere.example.com")
        )
        answer = await client.get("/healthz", headers={"Origin": "https://elsewhere.example.com"})

    assert asked.status_code == 400
    assert "access-control-allow-origin" not in asked.headers
    assert "access-control-allow-origin" not in answer.headers


async def test_without_a_setting_no_browser_of_another_origin_may_ask(client: AsyncClient) -> None:
    answer = await client.get("/healthz", headers={"Origin": "https://desk.example.com"})

    assert not [name for name in answer.headers if name.startswith("access-control-")]


def references(described: object) -> set[str]:
    if isinstance(described, dict):
        own = {described["$ref"]} if isinstance(described.get("$ref"), str) else set()
        return own.union(*(references(value) for value in described.values()))
    if isinstance(described, list):
        return set().union(*(references(value) for value in described))
    return set()


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    """What is documented; nothing is connected for it."""
    nowhere = Container(settings_for_tests(), "postgresql+asyncpg://nobody@localhost/nothing")
    return create_app(AppRole.API, nowhere).openapi()


def test_the_documentation_names_nothing_it_does_not_describe(described: dict[str, Any]) -> None:
    schemas = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert references(described) == schemas


def test_the_documentation_calls_every_refusal_a_problem(described: dict[str, Any]) -> None:
    answers = [
        (status, set(answer["content"]))
        for path, operations in described["paths"].items()
        # The older card API says no in its own form, and says so.
        if not path.startswith(OLDER_PREFIX)
        for operation in operations.values()
        for status, answer in operation["responses"].items()
        if not status.startswith("2")
    ]
    assert len(answers) > 50
    assert {kinds == {"application/problem+json"} for _, kinds in answers} == {True}
