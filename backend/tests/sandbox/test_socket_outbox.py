"""Whoever does not read is closed, and nothing piles up meanwhile."""

import asyncio
from typing import Any, cast

from starlette.websockets import WebSocket

from backend.app.sandbox.socket_outbox import TOO_SLOW, WAITING_MAX, SocketOutbox


class Socket:
    """A peer that takes nothing, or everything."""

    def __init__(self, *, takes: bool) -> None:
        self._takes = takes
        self.taken: list[str] = []
        self.closed: list[int] = []

    async def send_text(self, text: str) -> None:
        self.taken.append(text)
        if not self._takes:
            await asyncio.Event().wait()

    async def close(self, code: int) -> None:
        self.closed.append(code)


def outbox_of(socket: Socket) -> SocketOutbox:
    return SocketOutbox(cast("WebSocket", cast("Any", socket)))


async def test_a_peer_that_does_not_read_is_closed() -> None:
    socket = Socket(takes=False)
    outbox = outbox_of(socket)
    running = asyncio.create_task(outbox.run())

    for number in range(WAITING_MAX + 2):
        outbox.say(number)
        await asyncio.sleep(0)
    await running

    assert socket.closed == [TOO_SLOW]
    assert len(socket.taken) == 1


async def test_what_is_said_is_written_in_its_order() -> None:
    socket = Socket(takes=True)
    outbox = outbox_of(socket)
    running = asyncio.create_task(outbox.run())

    for number in range(3):
        outbox.say({"number": number})
    while len(socket.taken) < 3:
        await asyncio.sleep(0)
    running.cancel()

    assert socket.taken == ['{"number":0}', '{"number":1}', '{"number":2}']
