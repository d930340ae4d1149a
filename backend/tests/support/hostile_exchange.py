"""A server that answers every request with one misbehaviour, byte by byte as told."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum
from functools import cache
from urllib.parse import quote

_HUGE_BYTES = 10 * 1024 * 1024
_BOMB_BYTES = 200 * 1024 * 1024
_DRIP_SECONDS = 0.02
# More than either takes: each is a few callbacks, one after the other.
_STEPS = 10


class Misbehaviour(StrEnum):
    """The twelve ways an answer can be no answer."""

    HTML = "html"
    EMPTY = "empty"
    NULL = "null"
    EMPTY_OBJECT = "empty_object"
    GARBAGE = "garbage"
    NOT_A_NUMBER = "not_a_number"
    HUGE = "huge"
    GZIP_BOMB = "gzip_bomb"
    REDIRECT = "redirect"
    HEADER_ECHO = "header_echo"
    DRIP = "drip"
    HANG = "hang"


# The shape each exchange gives a balance in, with an amount no account can hold. HTX is asked for
# its accounts first; this answer serves both calls.
_NOT_A_NUMBER = {
    "binance": '{"balances":[{"asset":"BTC","free":NaN,"locked":"0"}]}',
    "okx": '{"code":"0","msg":"","data":[{"details":[{"ccy":"BTC","availBal":"NaN"}]}]}',
    "bybit": '{"retCode":0,"retMsg":"OK","result":{"list":[{"coin":[{"coin":"BTC",'
    '"walletBalance":"Infinity"}]}]}}',
    "htx": '{"status":"ok","data":[{"id":1,"type":"spot","state":"working"}],'
    '"list":[{"currency":"btc","type":"trade","balance":NaN}]}',
    "kucoin": '{"code":"200000","data":[{"currency":"BTC","type":"trade","balance":"NaN",'
    '"available":"NaN","holds":"0"}]}',
    "gate": '[{"currency":"BTC","available":"-Infinity","locked":"0"}]',
    "bitget": '{"code":"00000","msg":"success","data":[{"coin":"BTC","available":"NaN",'
    '"frozen":"0","locked":"0"}]}',
    "mexc": '{"balances":[{"asset":"BTC","free":"NaN","locked":"0"}]}',
}


class Received:
    """Everything a server was sent, over all connections."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.connections = 0

    @property
    def bytes_total(self) -> int:
        return sum(len(request) for request in self.requests)


Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[tuple[str, Received]]:
    """Serve `answer` on a port of its own; yields the origin and what arrives there."""
    received = Received()
    under_way: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.connections += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            received.requests.append(head)
            await answer(head, writer)
        except (ConnectionError, asyncio.IncompleteReadError) as left:
            received.requests.append(getattr(left, "partial", b""))
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way[asyncio.create_task(serve(reader, writer))] = writer

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}", received
    finally:
        server.close()
        await _end(under_way)


async def _end(under_way: Mapping["asyncio.Task[None]", asyncio.StreamWriter]) -> None:
    """Leave no connection behind: one that is found later is an error of whoever runs then."""
    await _steps()
    for task, writer in under_way.items():
        # Also where the task has not begun, and cannot close anything itself.
        task.cancel()
        writer.transport.abort()
    await asyncio.gather(*under_way, return_exceptions=True)
    await _steps()


async def _steps() -> None:
    """Let the event loop hand over what it has accepted, or let go of what was closed."""
    for _ in range(_STEPS):
        await asyncio.sleep(0)


async def record_only(_head: bytes, _writer: asyncio.StreamWriter) -> None:
    """Answer nothing: the foreign origin, which must never be asked."""


def misbehave(kind: Misbehaviour, exchange: str, foreign_origin: str) -> Answer:
    """Return how the hostile exchange answers."""
    if kind is Misbehaviour.GZIP_BOMB:
        # It takes half a second to make: now, and not while somebody waits for it.
        _bomb()

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        if kind is Misbehaviour.HANG:
            await _until_left(writer)
        elif kind is Misbehaviour.DRIP:
            await _drip(writer)
        else:
            writer.write(_whole(kind, exchange, head, foreign_origin))
            await writer.drain()

    return answer


def reply(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return one whole HTTP answer."""
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def gzip_bomb(bytes_total: int = _BOMB_BYTES) -> bytes:
    """Return a small gzip stream that unpacks to this many bytes."""
    return gzip.compress(bytes(bytes_total), compresslevel=1)


_JSON = "Content-Type: application/json"
_PAGE = b"<!doctype html><title>Just a moment...</title><h1>api key expired</h1>"
_ROWS = b'[{"currency":"BTC","available":"1","locked":"0"}]'
_SAME_FOR_ALL = {
    Misbehaviour.HTML: reply(_PAGE, "Content-Type: text/html"),
    Misbehaviour.EMPTY: reply(b"", _JSON),
    Misbehaviour.NULL: reply(b"null", _JSON),
    Misbehaviour.EMPTY_OBJECT: reply(b"{}", _JSON),
    Misbehaviour.GARBAGE: reply(bytes(range(256)) * 4, _JSON),
    Misbehaviour.HUGE: reply(_ROWS + b" " * (_HUGE_BYTES - len(_ROWS)), _JSON),
}


@cache
def _bomb() -> bytes:
    return reply(gzip_bomb(), _JSON, "Content-Encoding: gzip")


def _whole(kind: Misbehaviour, exchange: str, head: bytes, foreign_origin: str) -> bytes:
    if kind is Misbehaviour.NOT_A_NUMBER:
        return reply(_NOT_A_NUMBER[exchange].encode(), _JSON)
    if kind is Misbehaviour.REDIRECT:
        target = head.split(b" ")[1].decode()
        location = f"Location: {foreign_origin}{target}"
        return reply(b"", location, status="307 Temporary Redirect")
    if kind is Misbehaviour.HEADER_ECHO:
        sent = head.decode()
        fields = {"code": sent, "msg": sent, "label": sent, "data": [sent], "balances": sent}
        return reply(json.dumps(fields).encode(), _JSON, f"X-Echo: {quote(sent[:2000])}")
    return _bomb() if kind is Misbehaviour.GZIP_BOMB else _SAME_FOR_ALL[kind]


async def _drip(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(_DRIP_SECONDS)


async def _until_left(writer: asyncio.StreamWriter) -> None:
    await writer.wait_closed()
