"""The way out to the addresses people gave. Not `exchanges/outbound.py`: there, the hosts are ours.

A message leaves over TLS for a public address, which is checked as it is connected to, so that no
name can mean another one by then. No redirect is followed, no proxy asked, no cookie kept, no
connection used twice. Of the answer nothing is read but its status.

Source: docs/ARCHITECTURE.md, "Notifications, alerts and webhooks".
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Protocol

import aiohttp
import certifi
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.http_exceptions import HttpProcessingError

from backend.app.enums import DeliveryFailure
from backend.app.services.webhooks.address_guard import AddressGuard, AddressRefused

CONNECT_SECONDS_MAX: Final = 5.0
ATTEMPT_SECONDS_MAX: Final = 10.0
LOOKUPS_AT_ONCE_MAX: Final = 8
ADDRESSES_MAX: Final = 8
ANSWER_BUFFER_BYTES: Final = 4_096

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Letter:
    """One signed message. The URL may hold a secret: it is in no repr."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt; no failure means that it arrived."""

    failure: DeliveryFailure | None = None
    status: int | None = None
    retry_after: str | None = None


class Sender(Protocol):
    """Whoever carries a message to a foreign address."""

    async def send(self, letter: Letter) -> Outcome:
        """Try once. Never raises over what the far end does."""
        ...


class WebhookSender:
    """Sends each message on a connection of its own."""

    def __init__(
        self,
        guard: AddressGuard,
        lookup: Lookup | None = None,
        attempt_seconds_max: float = ATTEMPT_SECONDS_MAX,
    ) -> None:
        self._guard = guard
        # Names are looked up in threads; a name server that hangs must not take everybody's.
        self._threads = ThreadPoolExecutor(LOOKUPS_AT_ONCE_MAX, thread_name_prefix="webhook-lookup")
        self._lookup = lookup or self._system_lookup
        self._attempt_seconds_max = attempt_seconds_max
        self._trust: ssl.SSLContext | None = None

    async def send(self, letter: Letter) -> Outcome:
        """Try once to deliver a message."""
        resolver = _CheckedResolver(self._guard, self._lookup)
        try:
            async with (
                asyncio.timeout(self._attempt_seconds_max),
                self._session(resolver, await self._trust_store()) as session,
                session.post(
                    _permitted(letter.url, self._guard),
                    data=letter.body,
                    headers=letter.headers,
                    allow_redirects=False,
                ) as answer,
            ):
                return _outcome(answer.status, answer.headers.get("Retry-After"))
        except AddressRefused:
            return Outcome(DeliveryFailure.ADDRESS_REFUSED)
        except TimeoutError:
            return Outcome(DeliveryFailure.TOO_SLOW)
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError):
            refused = resolver.has_refused
            return Outcome(
                DeliveryFailure.ADDRESS_REFUSED if refused else DeliveryFailure.UNREACHABLE
            )

    def close(self) -> None:
        """Begin no more lookups."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _session(
        self, resolver: "_CheckedResolver", trust: ssl.SSLContext
    ) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=trust,
                resolver=resolver,
                # The last door: also for addresses that were written as such, not as names.
                socket_factory=resolver.socket_for,
                use_dns_cache=False,
                force_close=True,
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS_MAX),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            read_bufsize=ANSWER_BUFFER_BYTES,
        )

    async def _trust_store(self) -> ssl.SSLContext:
        if self._trust is None:
            self._trust = await asyncio.to_thread(_public_authorities)
        return self._trust

    async def _system_lookup(self, host: str, port: int) -> Sequence[str]:
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, _addresses_of, host, port
        )
        return [str(place[0]) for *_, place in found]


class _CheckedResolver(AbstractResolver):
    """Names become addresses here; one that may not be reached spoils the whole answer."""

    def __init__(self, guard: AddressGuard, lookup: Lookup) -> None:
        self._guard = guard
        self._lookup = lookup
        self.has_refused = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = list(await self._lookup(host, port))[:ADDRESSES_MAX]
        if not addresses:
            raise OSError("the name has no address")
        if not all(self._guard.permits(address) for address in addresses):
            self.has_refused = True
            raise AddressRefused
        return [_result(host, address, port) for address in addresses]

    def socket_for(self, place: Any) -> socket.socket:
        """Return the socket of one connection, for the address it will be connected to."""
        family, kind, protocol, _, address = place
        try:
            return self._guard.socket_to(address[0], family, kind, protocol)
        except AddressRefused:
            self.has_refused = True
            raise

    async def close(self) -> None:
        """Hold nothing."""


def _permitted(written: str, guard: AddressGuard) -> yarl.URL:
    """Return the URL, unless it would leave in the clear.

    Raises:
        AddressRefused: plain HTTP, and not to this machine by its address.
    """
    url = yarl.URL(written, encoded=True)
    if url.scheme != "https" and not guard.permits_plain_http(url.host or ""):
        raise AddressRefused
    return url


def _outcome(status: int, retry_after: str | None) -> Outcome:
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Outcome(status=status)
    if status == HTTPStatus.GONE:
        return Outcome(DeliveryFailure.GONE, status)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Outcome(DeliveryFailure.REDIRECT, status)
    return Outcome(DeliveryFailure.STATUS, status, retry_after)


def _result(host: str, address: str, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        proto=0,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )


def _addresses_of(host: str, port: int) -> list[Any]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _public_authorities() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certifi.where())
