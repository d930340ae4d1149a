"""Every request has a name and one log line; a defect is answered without a word of its text."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.app.clock import utc_now
from backend.app.container import Container
from backend.app.middleware.request_context import RequestContext
from backend.tests.support.logs import house_logging

SECRET = "canary0123456789abcdef9876543210"


@asynccontextmanager
async def asking(app: ASGIApp) -> AsyncIterator[AsyncClient]:
    transport = ASGITransport(app=RequestContext(app, utc_now), raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def breaks(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError(f"cannot use {SECRET}")


async def breaks_halfway(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise RuntimeError(f"cannot use {SECRET}")


async def nothing_more() -> Message:
    return {"type": "http.disconnect"}


@pytest.mark.parametrize(
    "asked", ["12345678", "a" * 64, "0b7d2f0e-3c5a-4b43-9a0d-7d1c1b7b1f11", "ABCdef-123"]
)
async def test_a_name_the_client_gives_is_kept(client: AsyncClient, asked: str) -> None:
    answer = await client.get("/api/v1/me", headers={"X-Request-ID": asked})

    assert answer.headers["x-request-id"] == answer.json()["request_id"] == asked


@pytest.mark.parametrize(
    "asked", ["", "short", "a" * 65, "has space here", "semi;colon1", "ünïcode-name", 'quo"te-name']
)
async def test_any_other_name_is_replaced(client: AsyncClient, asked: str) -> None:
    answer = await client.get("/healthz", headers={"X-Request-ID": asked.encode()})

    assert len(answer.headers.get_list("x-request-id")) == 1
    assert answer.headers["x-request-id"] != asked
    assert len(answer.headers["x-request-id"]) == 32


async def test_every_request_has_a_name_of_its_own(client: AsyncClient) -> None:
    names = {(await client.get("/healthz")).headers["x-request-id"] for _ in range(20)}

    assert len(names) == 20


async def test_a_request_leaves_one_line_with_its_route_and_not_its_url(
    client: AsyncClient,
) -> None:
    with house_logging() as log:
        answer = await client.get(f"/api/v1/credentials/7?secret={SECRET}")

    line = json.loads(log.getvalue())
    assert line["event"] == "request"
    assert line["route"] == "/api/v1/credentials/{credential_id}"
    assert (line["method"], line["status"]) == ("GET", 401)
    assert line["code"] == answer.json()["code"]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert SECRET not in log.getvalue()


async def test_an_unknown_path_is_not_written_down(client: AsyncClient) -> None:
    with house_logging() as log:
        await client.get(f"/api/v1/{SECRET}")

    line = json.loads(log.getvalue())
    assert (line["route"], line["code"]) == ("-", "not-found")


async def test_an_answer_that_refuses_nothing_has_no_code(client: AsyncClient) -> None:
    with house_logging() as log:
        await client.get("/healthz")

    assert "code" not in json.loads(log.getvalue())


def shown(answer: Response) -> str:
    return f"{answer.text} {answer.headers}"


async def test_a_defect_is_answered_without_a_word_of_its_text_and_logged_with_its_trace() -> None:
    with house_logging() as log:
        async with asking(breaks) as client:
            answer = await client.get("/")

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (500, "internal")
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert "RuntimeError" not in shown(answer)
    assert "cannot use" not in shown(answer)
    assert SECRET not in shown(answer)
    trace, request = [json.loads(line) for line in log.getvalue().splitlines()]
    assert "RuntimeError: cannot use [hidden]" in trace["exception"]
    assert trace["request_id"] == request["request_id"] == problem["request_id"]
    assert request["status"] == 500


async def test_a_defect_in_the_middle_of_an_answer_does_not_begin_a_second_one() -> None:
    said: list[Message] = []

    async def send(message: Message) -> None:
        said.append(message)

    scope = {"type": "http", "method": "GET", "headers": []}
    with house_logging() as log:
        await RequestContext(breaks_halfway, utc_now)(scope, nothing_more, send)

    assert [message["type"] for message in said] == ["http.response.start", "http.response.body"]
    assert json.loads(log.getvalue().splitlines()[0])["event"] == "unexpected"


async def test_a_defect_beneath_a_route_is_the_same_plain_answer(
    services: Container, client: AsyncClient
) -> None:
    await services.exchange_list._cache.stop()
    # A service taken apart under its route: what this raises is nobody's refusal.
    del services.exchange_list._cache

    client._transport.raise_app_exceptions = False  # type: ignore[attr-defined]
    with house_logging():
        answer = await client.get("/api/v1/exchanges")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "_cache" not in shown(answer)
    assert "AttributeError" not in shown(answer)


async def test_what_is_no_request_passes_untouched() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    await RequestContext(app, utc_now)({"type": "lifespan"}, None, None)  # type: ignore[arg-type]

    assert seen == ["lifespan"]
