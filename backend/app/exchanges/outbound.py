"""The only way out to an exchange: one guarded session for all eight.

A request leaves only for an origin on the exchange's list, follows no redirect, carries no cookie,
passes no proxy, and is bounded in time, size and number. What fails here says nothing about a key.

Source: docs/ARCHITECTURE.md, "Outbound calls".
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus

import aiohttp
import certifi
import yarl
from aiohttp.http_exceptions import HttpProcessingError

from backend.app.exchanges.bounded_body import (
    ACCEPT_ENCODING,
    BodyTooLarge,
    BodyUndecodable,
    read_bounded,
)
from backend.app.exchanges.breaker import Breaker, BreakerOpen


@dataclass(frozen=True, slots=True)
class OutboundLimits:
    """How much of us one exchange may take."""

    connect_seconds: float = 3.0
    read_seconds: float = 5.0
    total_seconds: float = 10.0
    body_bytes_max: int = 4 * 1024 * 1024
    at_once_max: int = 8
    waiting_max: int = 64
    waiting_seconds: float = 5.0
    failures_to_open: int = 5
    open_seconds: float = 30.0


class Fault(StrEnum):
    """Why no usable answer came. From UNREACHABLE on, the breaker counts it."""

    FOREIGN_ORIGIN = "foreign_origin"
    UNSENDABLE = "unsendable"
    CROWDED = "crowded"
    RESTING = "resting"
    UNREACHABLE = "unreachable"
    TOO_SLOW = "too_slow"
    REDIRECT = "redirect"
    TOO_LARGE = "too_large"
    UNDECODABLE = "undecodable"


class NoAnswer(Exception):
    """No usable answer came, or nothing was sent. Holds no URL, header or body."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class OutboundRequest:
    """One signed request. The URL is sent byte for byte: it may be part of a signature."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class OutboundAnswer:
    """One whole answer. `date` is the far end's clock as its HTTP header tells it."""

    status: int
    body: bytes = field(repr=False)
    date: str | None = None


class _Line:
    """What one exchange has of us: its origins, its places and its breaker."""

    def __init__(
        self, origins: frozenset[yarl.URL], limits: OutboundLimits, monotonic: Callable[[], float]
    ) -> None:
        self.origins = origins
        self.breaker = Breaker(limits.failures_to_open, limits.open_seconds, monotonic)
        self._places = asyncio.Semaphore(limits.at_once_max)
        self._limits = limits
        self._waiting = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        if self._waiting >= self._limits.waiting_max:
            raise NoAnswer(Fault.CROWDED)
        self._waiting += 1
        try:
            async with asyncio.timeout(self._limits.waiting_seconds):
                await self._places.acquire()
        except TimeoutError:
            raise NoAnswer(Fault.CROWDED) from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()


class Outbound:
    """One session, one trust store, one line per exchange."""

    def __init__(
        self,
        origins: Mapping[str, frozenset[str]],
        limits: OutboundLimits,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._lines = {
            exchange: _Line(frozenset(yarl.URL(origin) for origin in allowed), limits, monotonic)
            for exchange, allowed in origins.items()
        }
        self._session: aiohttp.ClientSession | None = None
        self._opening = asyncio.Lock()

    async def send(self, exchange: str, request: OutboundRequest) -> OutboundAnswer:
        """Send one request to its exchange and return the whole answer, whatever its status.

        Raises:
            NoAnswer: nothing was sent, or nothing usable came back.
        """
        line = self._lines[exchange]
        url = _sendable_url(request)
        if url.origin() not in line.origins:
            raise NoAnswer(Fault.FOREIGN_ORIGIN)
        async with line.place():
            try:
                with line.breaker.attempt(NoAnswer):
                    return await self._carry(url, request)
            except BreakerOpen:
                raise NoAnswer(Fault.RESTING) from None

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def _carry(self, url: yarl.URL, request: OutboundRequest) -> OutboundAnswer:
        session = await self._open()
        try:
            async with (
                asyncio.timeout(self._limits.total_seconds),
                session.request(
                    request.method,
                    url,
                    headers={**request.headers, "Accept-Encoding": ACCEPT_ENCODING},
                    data=request.body,
                    allow_redirects=False,
                ) as response,
            ):
                return await self._whole(response)
        except TimeoutError:
            raise NoAnswer(Fault.TOO_SLOW) from None
        except (aiohttp.ClientError, HttpProcessingError, OSError):
            raise NoAnswer(Fault.UNREACHABLE) from None
        except BodyTooLarge:
            raise NoAnswer(Fault.TOO_LARGE) from None
        except BodyUndecodable:
            raise NoAnswer(Fault.UNDECODABLE) from None

    async def _whole(self, response: aiohttp.ClientResponse) -> OutboundAnswer:
        if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:
            # Whoever follows this re-signs for, or hands the key to, an origin nobody listed.
            raise NoAnswer(Fault.REDIRECT)
        body = await read_bounded(
            response.content.iter_any(),
            response.headers.get("Content-Encoding", ""),
            self._limits.body_bytes_max,
        )
        return OutboundAnswer(response.status, body, response.headers.get("Date"))

    async def _open(self) -> aiohttp.ClientSession:
        async with self._opening:
            if self._session is None:
                self._session = aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(
                        ssl=await asyncio.to_thread(_trust_store),
                        limit=self._limits.at_once_max * len(self._lines),
                        limit_per_host=0,
                    ),
                    timeout=aiohttp.ClientTimeout(
                        total=None,
                        sock_connect=self._limits.connect_seconds,
                        sock_read=self._limits.read_seconds,
                    ),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    trust_env=False,
                    # Unpacked by `read_bounded`, which counts while it unpacks.
                    auto_decompress=False,
                )
            return self._session


def _trust_store() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certifi.where())


def _sendable_url(request: OutboundRequest) -> yarl.URL:
    # A line break in a key would end its header and begin another.
    texts = (request.url, *request.headers, *request.headers.values())
    if not all(text.isascii() and text.isprintable() for text in texts):
        raise NoAnswer(Fault.UNSENDABLE)
    try:
        url = yarl.URL(request.url, encoded=True)
        url.origin()
    except ValueError:
        raise NoAnswer(Fault.UNSENDABLE) from None
    return url
