"""The sandbox over HTTP: `/{exchange}/...` are the eight doors, `/control` is for the user."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, cast

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from backend.app.database import Database
from backend.app.exchanges.answers.base import World
from backend.app.exchanges.answers.registry import answers
from backend.app.exchanges.registry import dialect
from backend.app.exchanges.wire import WireRequest
from backend.app.sandbox.accounts import EXCHANGES, SeededAccount, seeded_accounts
from backend.app.sandbox.binance_sockets import BinanceSockets
from backend.app.sandbox.control import Control
from backend.app.sandbox.door import Door
from backend.app.sandbox.fault_control import FaultControl
from backend.app.sandbox.fault_deck import FaultDeck
from backend.app.sandbox.faults import SKEW, FaultyDoor
from backend.app.sandbox.market_streams import MarketStreams
from backend.app.sandbox.memory_world import MemoryWorld
from backend.app.sandbox.venue_world import VenueWorld
from backend.app.sandbox.watched_books import WatchedWorld
from backend.app.services.venue.desk import VenueDesk

BODY_MAX_BYTES: Final = 1024 * 1024
BINANCE: Final = "binance"


def unix_now_ms() -> int:
    """Return the present in Unix milliseconds."""
    return time.time_ns() // 1_000_000


class Venue(NamedTuple):
    """The durable market that the doors open on, where there is a database."""

    desk: VenueDesk
    database: Database


def create_sandbox_app(
    seed: str,
    now_ms: Callable[[], int] = unix_now_ms,
    exchanges: tuple[str, ...] = EXCHANGES,
    venue: Venue | None = None,
) -> Starlette:
    """Build the sandbox: one world, one door per exchange, all derived from the seed.

    The world is the venue, or without one a market in memory. The seeded accounts stand in
    `app.state.accounts`.
    """
    accounts = seeded_accounts(seed.encode(), now_ms())
    world = _world(seed.encode(), now_ms, accounts, venue)
    watched = WatchedWorld(world)
    deck = FaultDeck()
    # Binance alone tells changes of a book, which its snapshots have to agree with.
    behind = {BINANCE: cast("World", watched)}
    doors = {
        exchange: _door(exchange, behind.get(exchange, world), accounts) for exchange in exchanges
    }
    mounts = [
        Mount(
            f"/{exchange}",
            app=FaultyDoor(_HttpDoor(f"/{exchange}", door), dialect(exchange), deck, now_ms),
        )
        for exchange, door in doors.items()
    ]
    control = Control(accounts, now_ms)
    faults = FaultControl(deck)
    app = Starlette(
        routes=[
            Route("/control/accounts", control.list_accounts, methods=["GET"]),
            Route("/control/accounts/{exchange}/{name}", control.show_key, methods=["GET"]),
            Route("/control/faults", faults.serve, methods=["GET", "POST", "DELETE"]),
            *_sockets(doors, world, watched),
            *mounts,
        ]
    )
    app.state.accounts = accounts
    return app


def _world(
    seed: bytes,
    now_ms: Callable[[], int],
    accounts: Sequence[SeededAccount],
    venue: Venue | None,
) -> World:
    if venue is None:
        return MemoryWorld(seed, now_ms, accounts)
    return VenueWorld(seed, now_ms, accounts, venue.desk, venue.database)


def _door(exchange: str, world: World, accounts: Sequence[SeededAccount]) -> Door:
    own = [account for account in accounts if account.exchange == exchange]
    return Door(dialect(exchange), answers(exchange), world, own)


def _sockets(
    doors: Mapping[str, Door], world: World, watched: WatchedWorld
) -> Sequence[WebSocketRoute]:
    door = doors.get(BINANCE)
    if door is None:
        return ()
    return BinanceSockets(door, world, MarketStreams(world, watched.book)).routes(f"/{BINANCE}")


class _HttpDoor:
    """Takes requests off the wire and puts answers on it. Knows no exchange's words."""

    def __init__(self, prefix: str, door: Door) -> None:
        self._prefix = prefix
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request; Binance's WebSocket has routes of its own."""
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        request = Request(scope, receive)
        try:
            body = await _bounded_body(request)
        except ClientDisconnect:
            return
        if body is None:
            await Response("Payload Too Large", 413)(scope, receive, send)
            return
        caller_address = request.client.host if request.client else ""
        skew_ms = scope.get(SKEW, 0)
        asked = self._wire_request(scope, body)
        answer = await self._door.answer(asked, caller_address, skew_ms)
        await Response(answer.body, answer.status, dict(answer.headers))(scope, receive, send)

    def _wire_request(self, scope: Scope, body: bytes) -> WireRequest:
        # The raw path, because some exchanges sign it as it travelled.
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        return WireRequest(
            method=scope["method"],
            path=raw_path.decode("latin-1").removeprefix(self._prefix) or "/",
            query=scope["query_string"].decode("latin-1"),
            headers={
                name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
            },
            body=body,
        )


async def _bounded_body(request: Request) -> bytes | None:
    """Return the body, or None for one that is over the limit: the rest is not read."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_MAX_BYTES:
            return None
    return bytes(body)
