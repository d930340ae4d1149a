"""The house as it is served, WebSockets and all, and a real client of its live channel."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

import uvicorn
from pydantic import SecretStr
from sqlalchemy import insert, text
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from backend.app.channel_message import PRICES, Message
from backend.app.clock import Clock, utc_now
from backend.app.config import CacheSettings, Settings
from backend.app.container import Container
from backend.app.enums import Role
from backend.app.main import AppRole, create_app
from backend.app.models.market_reference import Asset, Symbol
from backend.app.repositories.channel_repository import ChannelRepository
from backend.app.services.principal import Principal
from backend.app.serving import listening, uvicorn_config
from backend.tests.support.fake_connector import FakeConnector
from backend.tests.support.people import Person
from backend.tests.support.venue import be_patient

SECONDS_MAX = 60.0
_POLL_SECONDS = 0.005


@dataclass(frozen=True)
class LiveHouse:
    """One process' worth of the house: its services, and where it listens."""

    services: Container
    port: int
    server: uvicorn.Server

    @property
    def url(self) -> str:
        """Where its WebSockets begin."""
        return f"ws://127.0.0.1:{self.port}/api/v1/ws"

    async def ticket(self, person: Person) -> str:
        """Return a ticket of somebody who is signed in."""
        asking = Principal(person.user_id, person.username, Role.USER, person.session_id)
        return (await self.services.sockets.issue_ticket(asking)).ticket

    async def publish(
        self, channel: str, *bodies: Mapping[str, Any], announced: bool = True
    ) -> list[Message]:
        """Publish as a use case does: in a transaction, and announce it after the commit."""
        async with self.services.database.transaction() as session:
            messages = await ChannelRepository(session).publish(channel, bodies)
        if announced:
            await self.services.live.announce(messages)
        return messages

    async def forget(self, channel: str, seq: int) -> None:
        """Delete the messages up to a number, as they are when they have become old."""
        async with self.services.database.transaction() as session:
            await session.execute(
                text("DELETE FROM channel_messages WHERE channel = :channel AND seq <= :seq"),
                {"channel": channel, "seq": seq},
            )

    async def keep_symbol(self, symbol: str) -> None:
        """Let a market be known."""
        base, quote = symbol.split("/")
        assets = [{"code": code, "name": code, "base_precision": 8} for code in (base, quote)]
        steps = {"tick_size": 1, "step_size": 1, "min_notional": 1, "is_active": True}
        names = {"symbol": symbol, "compact": base + quote, "base_asset": base}
        async with self.services.database.transaction() as session:
            await session.execute(insert(Asset), assets)
            await session.execute(
                insert(Symbol), {"exchange": "binance", **names, "quote_asset": quote, **steps}
            )
        await self.services.market.names.forget()

    async def client(self, person: Person, **options: Any) -> "LiveClient":
        """Return somebody's connection, logged in."""
        client = await LiveClient.knock(self, **options)
        assert await client.ask("login", ticket=await self.ticket(person)) == {"type": "logged_in"}
        return client


class LiveClient:
    """A WebSocket of the `websockets` package, speaking the protocol of docs/websocket.md."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    @classmethod
    async def knock(cls, house: LiveHouse, **options: Any) -> Self:
        """Connect without logging in."""
        options = {"open_timeout": SECONDS_MAX, **options}
        return cls(await connect(house.url, proxy=None, **options))

    async def send(self, op: str, **members: Any) -> None:
        """Send one frame."""
        await self.socket.send(json.dumps({"op": op, **members}))

    async def ask(self, op: str, **members: Any) -> dict[str, Any]:
        """Send one frame and return what comes next."""
        await self.send(op, **members)
        return await self.next()

    async def subscribe(self, channel: str, **members: Any) -> dict[str, Any]:
        """Subscribe, and return the answer; prices show their state to whoever begins."""
        begun = await self.ask("subscribe", channel=channel, **members)
        assert begun["type"] == "subscribed", begun
        if channel == PRICES and "after" not in members:
            assert (await self.next())["type"] == "snapshot"
        return begun

    async def next(self) -> dict[str, Any]:
        """Return the next frame."""
        async with asyncio.timeout(SECONDS_MAX):
            return dict(json.loads(await self.socket.recv()))

    async def take(self, count: int) -> list[dict[str, Any]]:
        """Return the next frames."""
        return [await self.next() for _ in range(count)]

    async def closed(self) -> int | None:
        """Read until the house has closed the connection, and return its code."""
        async with asyncio.timeout(SECONDS_MAX):
            try:
                while True:
                    await self.socket.recv()
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else None

    def abort(self) -> None:
        """Lose the connection as a broken line does: without a word."""
        self.socket.transport.abort()

    async def close(self) -> None:
        """Say goodbye."""
        await self.socket.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()


@asynccontextmanager
async def live_house(
    url: str,
    settings: Settings,
    clock: Clock = utc_now,
    *,
    redis_url: str | None = None,
    works: bool = True,
) -> AsyncIterator[LiveHouse]:
    """Serve the API on a database, as `strongroom serve` does, until the block ends.

    Unless it `works`, nothing runs beside the requests.
    """
    if redis_url is not None:
        settings = replace(settings, cache=CacheSettings(redis_url=SecretStr(redis_url)))
    services = Container(settings, url, clock, FakeConnector())
    # Who says nothing is a story of its own; a busy machine takes its time.
    services.sockets._login_seconds_max = SECONDS_MAX
    if settings.cache.redis_url is not None:
        be_patient(services.venue, settings.cache.redis_url.get_secret_value())
    await (services.start() if works else services.open())
    try:
        with listening("127.0.0.1", 0, "nothing: the port is free") as listener:
            app = create_app(AppRole.API, services)
            server = uvicorn.Server(uvicorn_config(app, settings.server))
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            await until(lambda: server.started)
            yield LiveHouse(services, listener.getsockname()[1], server)
            services.drain()
            server.should_exit = True
            await serving
    finally:
        await services.stop()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what happens beside the test; fail if it does not."""
    async with asyncio.timeout(SECONDS_MAX):
        while not is_so():
            await asyncio.sleep(_POLL_SECONDS)
