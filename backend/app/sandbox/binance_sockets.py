"""Binance over WebSocket: `/ws` and `/stream` for the markets, `/ws-api/v3` for an account.

Source: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
.../websocket-api
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final, Protocol

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from backend.app.errors import StrongroomError
from backend.app.exchanges.answers.base import World
from backend.app.exchanges.wire import Right, WireRequest
from backend.app.sandbox.accounts import SeededAccount
from backend.app.sandbox.door import Door
from backend.app.sandbox.market_streams import ROUNDS_PER_SECOND, MarketStreams, StreamUnknown
from backend.app.sandbox.socket_outbox import GOING_AWAY, SocketOutbox, close, texts
from backend.app.sandbox.user_stream import UserStream

CONNECTIONS_MAX: Final = 200
STREAMS_PER_CONNECTION_MAX: Final = 200
_TOO_MANY: Final = 1013
_UNKNOWN_STREAM: Final = {"code": 2, "msg": "Invalid request: invalid stream"}
_BAD_REQUEST: Final = {"code": 3, "msg": "Invalid JSON"}
_UNKNOWN_METHOD: Final = {"code": -1000, "msg": "Unknown method"}
_SUBSCRIBE: Final = "userDataStream.subscribe.signature"
_UNSUBSCRIBE: Final = "userDataStream.unsubscribe"
_SUBSCRIPTION_ID: Final = 0
_ASKED: Final[Mapping[str, tuple[str, str]]] = {
    "ping": ("GET", "/api/v3/ping"),
    "time": ("GET", "/api/v3/time"),
    "exchangeInfo": ("GET", "/api/v3/exchangeInfo"),
    "depth": ("GET", "/api/v3/depth"),
    "trades.recent": ("GET", "/api/v3/trades"),
    "klines": ("GET", "/api/v3/klines"),
    "ticker.24hr": ("GET", "/api/v3/ticker/24hr"),
    "ticker.price": ("GET", "/api/v3/ticker/price"),
    "ticker.book": ("GET", "/api/v3/ticker/bookTicker"),
    "account.status": ("GET", "/api/v3/account"),
    "order.place": ("POST", "/api/v3/order"),
    "order.cancel": ("DELETE", "/api/v3/order"),
    "order.status": ("GET", "/api/v3/order"),
    "openOrders.status": ("GET", "/api/v3/openOrders"),
    "allOrders": ("GET", "/api/v3/allOrders"),
    "myTrades": ("GET", "/api/v3/myTrades"),
}
"""Methods of the WebSocket API that are a request of the other one in other words."""


class BinanceSockets:
    """Every connection of the Binance door."""

    def __init__(self, door: Door, world: World, streams: MarketStreams) -> None:
        self._door = door
        self._world = world
        self._streams = streams
        self._connections = 0

    def routes(self, prefix: str) -> list[WebSocketRoute]:
        """Return where these are served."""
        return [
            WebSocketRoute(f"{prefix}/ws", self.serve_market),
            WebSocketRoute(f"{prefix}/ws/{{names:path}}", self.serve_market),
            WebSocketRoute(f"{prefix}/stream", self.serve_combined),
            WebSocketRoute(f"{prefix}/stream/{{any:path}}", self.serve_combined),
            WebSocketRoute(f"{prefix}/ws-api/v3", self.serve_account),
        ]

    async def serve_market(self, socket: WebSocket) -> None:
        """Serve market streams, each event as it is."""
        names = _stream_names(str(socket.path_params.get("names", "")))
        await self._serve(
            socket, lambda outbox: _MarketListener(self._streams, outbox, names, bare=True)
        )

    async def serve_combined(self, socket: WebSocket) -> None:
        """Serve market streams, each event with the name of its stream."""
        names = _stream_names(socket.query_params.get("streams", ""))
        await self._serve(
            socket, lambda outbox: _MarketListener(self._streams, outbox, names, bare=False)
        )

    async def serve_account(self, socket: WebSocket) -> None:
        """Serve the WebSocket API: requests and their answers, and the user data stream."""
        caller = socket.client.host if socket.client else ""
        await self._serve(
            socket, lambda outbox: _AccountListener(self._door, self._world, outbox, caller)
        )

    async def _serve(
        self, socket: WebSocket, listener_on: "Callable[[SocketOutbox], _Listener]"
    ) -> None:
        if self._connections >= CONNECTIONS_MAX:
            await close(socket, _TOO_MANY)
            return
        self._connections += 1
        outbox = SocketOutbox(socket)
        listener = listener_on(outbox)
        try:
            # First: a client that is let in expects to hear all that comes after.
            await listener.begin()
            await socket.accept()
            ends = [asyncio.create_task(each) for each in (_heard(socket, listener), outbox.run())]
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for end in ends:
                    end.cancel()
                await asyncio.gather(*ends, return_exceptions=True)
        finally:
            self._connections -= 1
            await listener.end()


class _Listener(Protocol):
    """One connection: what it asks, and what it is told."""

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to tell."""

    async def begin(self) -> None:
        """Listen to what was asked for with the connection itself."""

    async def take(self, text: str) -> None:
        """Answer one request."""

    async def end(self) -> None:
        """Listen to nothing any more."""


class _MarketListener:
    """What one connection subscribed to."""

    is_over: Final = False

    def __init__(
        self, streams: MarketStreams, outbox: SocketOutbox, names: Sequence[str], *, bare: bool
    ) -> None:
        self._streams = streams
        self._outbox = outbox
        self._names = names
        self._is_bare = bare
        self._joined: set[str] = set()

    async def begin(self) -> None:
        """Join the streams that the address names, up to one that is none."""
        with suppress(StreamUnknown):
            await self.join(self._names)

    def tell(self, stream: str, event: Any) -> None:
        """Take an event, without waiting."""
        self._outbox.say(event if self._is_bare else {"stream": stream, "data": event})

    async def take(self, text: str) -> None:
        """Answer one request."""
        asked = _object(text)
        if asked is None:
            self._outbox.say({"error": _BAD_REQUEST})
            return
        names = [str(name) for name in asked.get("params") or ()]
        try:
            result = await self._done(str(asked.get("method")), names)
        except StreamUnknown:
            self._outbox.say({"error": _UNKNOWN_STREAM, "id": asked.get("id")})
            return
        self._outbox.say({"result": result, "id": asked.get("id")})

    async def join(self, names: Sequence[str]) -> None:
        """Listen to streams.

        Raises:
            StreamUnknown: one of them is none, or they are too many.
        """
        if len(self._joined.union(names)) > STREAMS_PER_CONNECTION_MAX:
            raise StreamUnknown
        for name in names:
            await self._streams.join(name, self)
            self._joined.add(name)

    async def end(self) -> None:
        """Listen to nothing any more."""
        self._leave(list(self._joined))

    async def _done(self, method: str, names: list[str]) -> list[str] | None:
        match method:
            case "SUBSCRIBE":
                await self.join(names)
            case "UNSUBSCRIBE":
                self._leave(names)
            case "LIST_SUBSCRIPTIONS":
                return sorted(self._joined)
            case _:
                raise StreamUnknown
        return None

    def _leave(self, names: list[str]) -> None:
        for name in self._joined.intersection(names):
            self._streams.leave(name, self)
            self._joined.discard(name)


class _AccountListener:
    """One connection of the WebSocket API."""

    def __init__(self, door: Door, world: World, outbox: SocketOutbox, caller: str) -> None:
        self._door = door
        self._world = world
        self._outbox = outbox
        self._caller = caller
        self._following: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether the account can be followed no more."""
        return self._following is not None and self._following.done()

    async def take(self, text: str) -> None:
        """Answer one request."""
        asked = _object(text)
        if asked is None:
            self._outbox.say({"error": _BAD_REQUEST})
            return
        status, result = await self._answered(asked)
        named = {"id": asked.get("id"), "status": status}
        said = {"result": result} if status == 200 else {"error": result}  # noqa: PLR2004
        self._outbox.say(named | said)

    async def begin(self) -> None:
        """Wait for what is asked."""

    async def end(self) -> None:
        """Follow the account no more."""
        following, self._following = self._following, None
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _answered(self, asked: Mapping[str, Any]) -> tuple[int, Any]:
        method, params = str(asked.get("method")), asked.get("params")
        params = params if isinstance(params, dict) else {}
        if method == _UNSUBSCRIBE:
            await self.end()
            return 200, {}
        if method == _SUBSCRIBE:
            return await self._subscribed(params)
        if method not in _ASKED:
            return 400, _UNKNOWN_METHOD
        answer = await self._door.answer(_request(*_ASKED[method], params), self._caller)
        return answer.status, _parsed(answer.body)

    async def _subscribed(self, params: Mapping[str, Any]) -> tuple[int, Any]:
        request = _request("GET", "/api/v3/account", params)
        account = self._door.judged(request, self._caller, Right.READ, self._world.now_ms())
        if not isinstance(account, SeededAccount):
            return account.status, _parsed(account.body)
        if self._following is None:
            stream = UserStream(self._world, account.account_id)
            try:
                await stream.begin()
            except StrongroomError:
                return 503, {"code": -1001, "msg": "Internal error; please try again."}
            self._following = asyncio.create_task(self._follow(stream))
        return 200, {"subscriptionId": _SUBSCRIPTION_ID}

    async def _follow(self, stream: UserStream) -> None:
        with suppress(StrongroomError):
            while True:
                await asyncio.sleep(1 / ROUNDS_PER_SECOND)
                for event in await stream.news():
                    self._outbox.say({"subscriptionId": _SUBSCRIPTION_ID, "event": event})
        # Nothing more is known for sure: whoever listened asks again.
        self._outbox.say({"event": {"e": "eventStreamTerminated", "E": self._world.now_ms()}})


async def _heard(socket: WebSocket, listener: _Listener) -> None:
    async for text in texts(socket):
        await listener.take(text)
        if listener.is_over:
            await close(socket, GOING_AWAY)


def _stream_names(told: str) -> list[str]:
    # Clients number their connections in the path too: what is no name is no stream.
    return [name for name in told.split("/") if "@" in name or "!" in name]


def _request(method: str, path: str, params: Mapping[str, Any]) -> WireRequest:
    """Return the request that the parameters make up: signed as text, in alphabetical order."""
    signed = [f"{key}={_plain(params[key])}" for key in sorted(params) if key != "signature"]
    query = "&".join([*signed, f"signature={params.get('signature', '')}"])
    headers = {"x-mbx-apikey": str(params.get("apiKey", ""))}
    return WireRequest(method, path, query, headers, b"")


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _object(text: str) -> dict[str, Any] | None:
    found = _parsed(text)
    return found if isinstance(found, dict) else None


def _parsed(text: str | bytes) -> Any:
    try:
        return json.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError):
        return None
