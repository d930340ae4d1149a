"""Two servers that tell every listener the same ten times a second, for bench/websocket.py.

    python -m bench._live_server {strongroom,bare} listeners

Prints a line of JSON once it listens, begins to tell when a line comes in, ends with its input.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from hashlib import sha256
from uuid import uuid4

import uvicorn
import uvloop
from sqlalchemy import text
from websockets.asyncio.server import broadcast, serve

from backend.app.channel_message import PRICES
from backend.app.clock import utc_now
from backend.app.config import Settings
from backend.app.container import Container
from backend.app.ids import new_token
from backend.app.logs import configure_logging
from backend.app.main import AppRole, create_app
from backend.app.repositories.channel_repository import ChannelRepository
from backend.app.services.live_service import CONNECTIONS_PER_USER_MAX
from backend.app.serving import listening, uvicorn_config

UPDATES_PER_SECOND = 10
_USER = (
    "INSERT INTO users (username, email, hashed_password)"
    " VALUES (:name, :email, 'no password matches this') RETURNING id"
)
_SESSION = (
    "INSERT INTO auth_sessions (id, user_id, auth_version, created_at, expires_at)"
    " VALUES (:id, :user, 1, now(), now() + interval '1 day')"
)
_TICKET = (
    "INSERT INTO websocket_tickets (ticket_hash, session_id, expires_at)"
    " VALUES (:hash, :id, now() + interval '1 hour')"
)


def _body() -> dict[str, object]:
    """Return an update as the price channel has them, and when it was made."""
    return {
        "symbol": "BTC/USDT",
        "price": "64250.120000000000000000",
        "source": "binance",
        "as_of": "2026-11-21T12:00:00.000000Z",
        "stale": False,
        "at": time.monotonic_ns(),
    }


async def _told(tell: Callable[[int], Awaitable[None]]) -> None:
    """Tell at an even pace, from the first line of input to the end of it."""
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.readline)
    ended = loop.run_in_executor(None, sys.stdin.readline)
    began, number = loop.time(), 0
    while not ended.done():
        number += 1
        await tell(number)
        await asyncio.sleep(max(0, began + number / UPDATES_PER_SECOND - loop.time()))


def _ready(port: int, tickets: list[str]) -> None:
    print(json.dumps({"port": port, "tickets": tickets}), flush=True)


async def _bare() -> None:
    async def stay(connection: object) -> None:
        await connection.wait_closed()  # type: ignore[attr-defined]

    async with serve(stay, "127.0.0.1", 0, compression=None, backlog=2048) as server:
        _ready(server.sockets[0].getsockname()[1], [])

        async def tell(number: int) -> None:
            members = {"type": "message", "channel": PRICES, "seq": number, "data": _body()}
            broadcast(server.connections, json.dumps(members, separators=(",", ":")))

        await _told(tell)


async def _tickets(services: Container, listeners: int) -> list[str]:
    """Enter tickets beneath the door: a slow machine could not draw a thousand in their time."""
    tickets = [new_token() for _ in range(listeners)]
    async with services.database.transaction() as session:
        for first in range(0, listeners, CONNECTIONS_PER_USER_MAX):
            name, session_id = f"listener{first}", uuid4()
            names = {"name": name, "email": f"{name}@example.com"}
            user_id = await session.scalar(text(_USER), names)
            await session.execute(text(_SESSION), {"id": session_id, "user": user_id})
            some = tickets[first : first + CONNECTIONS_PER_USER_MAX]
            rows = [{"hash": sha256(each.encode()).digest(), "id": session_id} for each in some]
            await session.execute(text(_TICKET), rows)
    return tickets


async def _strongroom(listeners: int) -> None:
    settings = Settings.load()
    configure_logging(settings.server)
    services = Container(settings, os.environ["DATABASE_URL"], utc_now)
    await services.start()
    with listening("127.0.0.1", 0, "nothing: the port is free") as listener:
        server = uvicorn.Server(uvicorn_config(create_app(AppRole.API, services), settings.server))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        _ready(listener.getsockname()[1], await _tickets(services, listeners))

        async def tell(_number: int) -> None:
            async with services.database.transaction() as session:
                messages = await ChannelRepository(session).publish(PRICES, [_body()])
            await services.live.announce(messages)

        await _told(tell)
        services.drain()
        server.should_exit = True
        await serving
    await services.stop()


if __name__ == "__main__":
    work = _bare() if sys.argv[1] == "bare" else _strongroom(int(sys.argv[2]))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)
