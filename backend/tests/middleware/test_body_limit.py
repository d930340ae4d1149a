"""The bound of a body is exact, whatever length it claims."""

from collections.abc import AsyncIterator, Iterator

import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from backend.app.clock import utc_now
from backend.app.middleware.body_limit import BodyLimit
from backend.app.middleware.request_context import RequestContext
from backend.app.request_entry import RequestEntry

LIMIT_BYTES = 1000


async def measure(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await PlainTextResponse(str(len(body)))(scope, receive, send)


@pytest.fixture
def noted() -> list[RequestEntry]:
    return []


@pytest.fixture
async def client(noted: list[RequestEntry]) -> AsyncIterator[AsyncClient]:
    app = RequestContext(BodyLimit(measure, LIMIT_BYTES, utc_now), utc_now, noted.append)
    transport = ASGITransport(app=app)
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def in_pieces(length: int, piece: int) -> AsyncIterator[bytes]:
    for start in range(0, length, piece):
        yield b"x" * min(piece, length - start)


@pytest.mark.parametrize("length", [0, 1, LIMIT_BYTES - 1, LIMIT_BYTES])
async def test_a_body_up_to_the_bound_arrives_whole(client: AsyncClient, length: int) -> None:
    told = await client.post("/", content=b"x" * length)
    untold = await client.post("/", content=in_pieces(length, 7))

    assert (told.status_code, told.text) == (200, str(length))
    assert (untold.status_code, untold.text) == (200, str(length))


@pytest.mark.parametrize("length", [LIMIT_BYTES + 1, 100 * LIMIT_BYTES])
async def test_a_longer_body_is_refused(client: AsyncClient, length: int) -> None:
    told = await client.post("/", content=b"x" * length)
    untold = await client.post("/", content=in_pieces(length, 7))

    assert (told.status_code, untold.status_code) == (413, 413)
    assert told.json()["code"] == "payload-too-large"
    assert told.json()["request_id"] == told.headers["x-request-id"]
    assert str(LIMIT_BYTES) in told.json()["detail"]


async def test_what_was_read_is_noted_whatever_was_said_of_it(
    client: AsyncClient, noted: list[RequestEntry]
) -> None:
    await client.post("/", content=b"x" * 50)
    await client.post("/", content=in_pieces(50, 7))
    await client.post("/", content=in_pieces(100 * LIMIT_BYTES, 7))
    await client.get("/")

    *told, too_long, none = [entry.request_bytes for entry in noted]
    assert (told, none) == ([50, 50], 0)
    assert LIMIT_BYTES < too_long < 2 * LIMIT_BYTES


async def test_no_more_is_read_than_shows_that_it_is_too_long() -> None:
    pieces: Iterator[Message] = iter(
        {"type": "http.request", "body": b"x" * 400, "more_body": True} for _ in range(100)
    )
    said: list[Message] = []

    async def receive() -> Message:
        return next(pieces)

    async def send(message: Message) -> None:
        said.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "state": {"request_id": "r"},
        "headers": [(b"transfer-encoding", b"chunked")],
    }
    await BodyLimit(measure, LIMIT_BYTES, utc_now)(scope, receive, send)

    assert said[0]["status"] == 413
    assert len(list(pieces)) == 97


async def test_a_length_that_lies_does_not_matter() -> None:
    body: Iterator[Message] = iter([{"type": "http.request", "body": b"x" * (LIMIT_BYTES + 1)}])
    said: list[Message] = []

    async def receive() -> Message:
        return next(body)

    async def send(message: Message) -> None:
        said.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "state": {"request_id": "r"},
        "headers": [(b"content-length", b"5")],
    }
    await BodyLimit(measure, LIMIT_BYTES, utc_now)(scope, receive, send)

    assert said[0]["status"] == 413
