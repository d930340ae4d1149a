"""Pages of foreign origins open no WebSocket; what opens one is named and logged."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from starlette.types import Message, Receive, Scope, Send
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from backend.app.clock import utc_now
from backend.app.config import ServerSettings, Settings
from backend.app.middleware.websocket_context import WebsocketContext
from backend.tests.support.live_house import LiveClient, LiveHouse, live_house, until
from backend.tests.support.logs import house_logging
from backend.tests.support.people import person


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, server=ServerSettings(cors_origins=["https://desk.example"]))


@pytest.fixture
async def house(database_url: str, settings: Settings) -> AsyncIterator[LiveHouse]:
    async with live_house(database_url, settings) as house:
        yield house


@pytest.mark.parametrize("origin", ["https://desk.example", "http://127.0.0.1:{port}", None])
async def test_our_own_pages_and_listed_origins_and_programs_come_in(
    house: LiveHouse, origin: str | None
) -> None:
    shown = origin.format(port=house.port) if origin else None

    async with await house.client(await person(house.services, "al"), origin=shown) as client:
        assert await client.ask("ping") == {"type": "pong"}


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://desk.example.evil.example",
        "https://evil.example/https://desk.example",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "null",
        "",
    ],
)
async def test_foreign_pages_do_not(house: LiveHouse, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await LiveClient.knock(house, origin=None, additional_headers={"Origin": origin})

    assert refused.value.response.status_code == 403
    assert b'"origin-refused"' in refused.value.response.body
    assert refused.value.response.headers["Content-Type"] == "application/problem+json"


async def test_where_every_origin_is_listed_all_pages_come_in() -> None:
    reached: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["path"])

    headers = [(b"origin", b"https://anywhere.example"), (b"host", b"here.example")]
    scope = {"type": "websocket", "headers": headers, "path": "/"}
    await WebsocketContext(app, ["*"], utc_now)(scope, nothing_more, nothing_sent)

    assert reached == ["/"]


async def test_a_path_that_is_none_opens_nothing(house: LiveHouse) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"{house.url}/elsewhere", proxy=None):
            pass

    assert refused.value.response.status_code == 403


async def test_a_connection_leaves_two_lines_that_name_it_and_tell_no_ticket(
    house: LiveHouse,
) -> None:
    someone = await person(house.services, "al")
    ticket = await house.ticket(someone)
    names = {"X-Request-ID": "a-name-of-its-own"}

    with house_logging("INFO") as written:
        path = f"{house.url}?ticket={ticket}"
        async with connect(path, proxy=None, additional_headers=names) as socket:
            await socket.send(json.dumps({"op": "login", "ticket": ticket}))
            await socket.recv()
        await until(lambda: "websocket_closed" in written.getvalue())
    everything = [json.loads(line) for line in written.getvalue().splitlines()]
    # What the workers beside it have to say is not of this connection.
    lines = [line for line in everything if line["event"].startswith("websocket_")]

    assert ticket not in written.getvalue()
    assert [line["event"] for line in lines] == ["websocket_opened", "websocket_closed"]
    assert {line["request_id"] for line in lines} == {"a-name-of-its-own"}
    assert {line["route"] for line in lines} == {"/api/v1/ws"}
    assert lines[1]["code"] == 1000


async def test_a_defect_closes_plainly_and_is_logged_without_its_text() -> None:
    secret = "canary0123456789abcdef9876543210"
    sent: list[Message] = []

    async def breaks(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError(f"cannot use {secret}")

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "headers": [], "path": "/api/v1/ws"}
    with house_logging("INFO") as written:
        await WebsocketContext(breaks, (), utc_now)(scope, nothing_more, send)

    assert sent == [{"type": "websocket.close"}]
    assert "unexpected" in written.getvalue()
    assert secret not in written.getvalue()


async def nothing_sent(_message: Message) -> None: ...


async def nothing_more() -> Message:
    return {"type": "websocket.disconnect"}
