"""CCXT as we use it: it knows the path, the parameters and the signature; the sending is ours.

CCXT's own transport follows redirects with the key in hand, logs headers, keeps the last answer and
takes an HTML page for an empty balance. So its `fetch`, the one place where a request leaves, is
replaced on our clients by a function that hands the signed request over, and a client holds no
session it could send anything with.
"""

import asyncio
import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm

from backend.app.exchanges.ccxt_loader import load_base_error, load_exchange_class
from backend.app.exchanges.outbound import Fault, NoAnswer, OutboundRequest
from backend.app.exchanges.wire import SigningKeys

_API_TABLE = "api"


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A client that was never used, and the root of what it raises."""

    client: Any
    base_error: type[Exception]


@dataclass(frozen=True, slots=True)
class CcxtSigner:
    """One fresh client with one key."""

    client: Any = field(repr=False)
    base_error: type[Exception]

    async def sign(self, method: str, params: Mapping[str, str]) -> OutboundRequest:
        """Return the signed request of a CCXT method.

        Raises:
            NoAnswer: no request can be made from these keys.
        """
        try:
            signed: OutboundRequest = await getattr(self.client, method)(dict(params))
        # A secret that pretends to be a private key fails in as many ways as there are formats.
        except (self.base_error, ValueError, TypeError, UnsupportedAlgorithm):
            raise NoAnswer(Fault.UNSENDABLE) from None
        return signed


class CcxtClients:
    """Makes clients. `sandbox_url` sends every address of every exchange to the sandbox."""

    def __init__(self, sandbox_url: str | None) -> None:
        self._sandbox_url = sandbox_url
        self._loaded: dict[str, _Loaded] = {}
        self._loading = asyncio.Lock()

    async def signer(self, exchange: str, keys: SigningKeys) -> CcxtSigner:
        """Return a fresh client that holds these keys; the first of an exchange loads CCXT.

        A client remembers that a key once worked and then reads its refusal as throttling, so
        none is used twice. Building one costs milliseconds, copying one that was never used
        costs microseconds.
        """
        loaded = self._loaded.get(exchange) or await self._load(exchange)
        client = copy.copy(loaded.client)
        client.options = copy.deepcopy(client.options)
        client.apiKey, client.secret, client.password = (
            keys.api_key,
            keys.api_secret,
            keys.passphrase,
        )
        return CcxtSigner(client, loaded.base_error)

    async def _load(self, exchange: str) -> _Loaded:
        async with self._loading:
            if exchange not in self._loaded:
                self._loaded[exchange] = await asyncio.to_thread(self._build, exchange)
            return self._loaded[exchange]

    def _build(self, exchange: str) -> _Loaded:
        # `session=None` given in so many words: CCXT then opens none of its own.
        client = load_exchange_class(exchange)({"enableRateLimit": False, "session": None})
        if self._sandbox_url is not None:
            client.urls[_API_TABLE] = moved(
                client.urls[_API_TABLE], f"{self._sandbox_url}/{exchange}"
            )
        # CCXT's sandbox and demo switches copy these tables over the first: now that does nothing.
        for table in ("test", "demo", "demotrading"):
            client.urls[table] = copy.deepcopy(client.urls[_API_TABLE])

        async def hand_over(
            url: str, method: str = "GET", headers: Any = None, body: str | None = None
        ) -> OutboundRequest:
            sent = client.prepare_request_headers(headers)
            return OutboundRequest(method, url, sent, body.encode() if body else None)

        client.fetch = hand_over
        return _Loaded(client, load_base_error())


def moved(table: Any, base_url: str) -> Any:
    """Return an address table with every scheme and host replaced; paths stay."""
    if isinstance(table, dict):
        return {name: moved(value, base_url) for name, value in table.items()}
    return base_url + urlsplit(table).path
