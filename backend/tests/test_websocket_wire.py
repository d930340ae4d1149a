"""A peer that does not read is closed; nobody else notices."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from backend.app.channel_message import PRICES, Message
from backend.app.config import Settings
from backend.app.services.live.frames import CloseCode
from backend.app.services.live.outbox import WAITING_BYTES_MAX
from backend.app.websocket_wire import SEND_BUFFER_BYTES
from backend.tests.support.live_house import SECONDS_MAX, LiveClient, LiveHouse, live_house, until
from backend.tests.support.people import person

HANDSHAKE = (
    b"GET /api/v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
PING = b"\x89\x04"
BODY_BYTES = 64 * 1024
# More than the outbox, the server's write buffer and both kernels' buffers take together.
MESSAGES = 3 * (WAITING_BYTES_MAX + 8 * SEND_BUFFER_BYTES) // BODY_BYTES


@pytest.fixture
async def house(database_url: str, settings: Settings) -> AsyncIterator[LiveHouse]:
    async with live_house(database_url, settings) as house:
        yield house


async def listening(house: LiveHouse, name: str, **options: Any) -> LiveClient:
    client = await house.client(await person(house.services, name), **options)
    await client.subscribe("prices")
    return client


async def slow(house: LiveHouse, name: str) -> LiveClient:
    """Return a client with a small buffer, which stops reading after two frames."""
    small = socket.create_connection(("127.0.0.1", house.port))
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    small.setblocking(False)
    return await listening(house, name, sock=small, max_queue=1)


async def tell(house: LiveHouse, fast: LiveClient) -> list[int]:
    """Announce one message after the other, and return what the fast client heard of them."""
    heard = []
    for seq in range(1, MESSAGES + 1):
        await house.services.live.announce([Message(PRICES, seq, {"filler": "x" * BODY_BYTES})])
        heard.append((await fast.next())["seq"])
    return heard


async def test_a_slow_peer_is_closed_with_a_code_and_a_fast_one_hears_everything(
    house: LiveHouse,
) -> None:
    async with await slow(house, "snail") as snail, await listening(house, "swift") as swift:
        heard = await tell(house, swift)
        await until(lambda: house.services.sockets.connections == 1)
        code, told = await everything(snail)

    assert heard == list(range(1, MESSAGES + 1))
    assert code == CloseCode.TOO_SLOW
    # What it did get is a run from the beginning: the number to resume after is right.
    assert told == list(range(1, len(told) + 1))
    assert len(told) < MESSAGES


async def test_a_peer_that_never_reads_again_is_cut_off(house: LiveHouse) -> None:
    async with await slow(house, "stone"), await listening(house, "swift") as swift:
        await tell(house, swift)

        # Neither its close frame nor what is before it can be delivered.
        await until(lambda: len(house.server.server_state.connections) == 1)


async def test_a_peer_that_answers_no_ping_is_closed(house: LiveHouse) -> None:
    house.server.config.ws_ping_interval = house.server.config.ws_ping_timeout = 0.05
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(HANDSHAKE)

    async with asyncio.timeout(SECONDS_MAX):
        said = await reader.read()
    writer.close()
    await writer.wait_closed()

    assert PING in said
    assert b"keepalive ping timeout" in said


async def test_a_peer_that_answers_pings_stays(house: LiveHouse) -> None:
    house.server.config.ws_ping_interval, house.server.config.ws_ping_timeout = 0.01, SECONDS_MAX

    async with await listening(house, "awake") as client:
        (connection,) = house.server.server_state.connections
        # Each answer is noted: the one after the first means that pings go on.
        for _ in range(2):
            connection.last_ping_rtt = 0.0
            await until(lambda: connection.last_ping_rtt > 0)

        assert await client.ask("ping") == {"type": "pong"}


async def everything(client: LiveClient) -> tuple[int | None, list[int]]:
    told: list[int] = []
    while True:
        frame = asyncio.ensure_future(client.next())
        await asyncio.wait({frame})
        if frame.exception() is not None:
            return await client.closed(), told
        told.append(frame.result()["seq"])
