"""Asks the Price API, where it runs apart, for what the front end is shown.

It may be away, slow or not itself: whoever asks learns that within two seconds, and while it stays
so, at once. The key goes to the configured address and nowhere else.
"""

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import aiohttp
import yarl
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import SecretStr, ValidationError

from backend.app.config import SYMBOLS_MAX
from backend.app.errors import ConfigurationError
from backend.app.exchanges.bounded_body import (
    ACCEPT_ENCODING,
    BodyTooLarge,
    BodyUndecodable,
    read_bounded,
)
from backend.app.exchanges.breaker import Breaker, BreakerOpen
from backend.app.logs import logger
from backend.app.schemas.market_schemas import PriceList

CONNECT_SECONDS_MAX: Final = 0.5
ANSWER_SECONDS_MAX: Final = 2.0
ANSWER_BYTES_MAX: Final = 256 * 1024
ASKED_AT_ONCE_MAX: Final = 32
_FAILURES_TO_REST: Final = 3
_REST_SECONDS: Final = 5.0
_LOG = logger(__name__)


class PriceApiAway(Exception):
    """The Price API gave no usable answer. Holds no text of it."""


class PriceApiClient:
    """One address and one key.

    Raises:
        ConfigurationError: the address is none, or there is no key.
    """

    def __init__(
        self,
        url: str,
        key: SecretStr | None,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        connect_seconds_max: float = CONNECT_SECONDS_MAX,
        answer_seconds_max: float = ANSWER_SECONDS_MAX,
    ) -> None:
        if key is None:
            raise ConfigurationError(
                "INTERNAL_API_KEY is not set: the Price API at PRICE_API_URL asks for it. Give "
                "both the same. "
                "Make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
            )
        self._url = _address(url).with_query(limit=str(SYMBOLS_MAX))
        self._key = key
        self._connect_seconds_max = connect_seconds_max
        self._answer_seconds_max = answer_seconds_max
        self._breaker = Breaker(_FAILURES_TO_REST, _REST_SECONDS, monotonic)
        self._session: aiohttp.ClientSession | None = None

    async def latest(self) -> PriceList:
        """Return all prices.

        Raises:
            PriceApiAway: it gave no usable answer.
        """
        try:
            with self._breaker.attempt(PriceApiAway):
                return await self._ask()
        except BreakerOpen:
            raise PriceApiAway from None
        except PriceApiAway:
            _LOG.warning("price_api_away")
            raise

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def _ask(self) -> PriceList:
        try:
            async with (
                asyncio.timeout(self._answer_seconds_max),
                self._opened().get(
                    self._url,
                    headers={
                        "X-Internal-Key": self._key.get_secret_value(),
                        "Accept-Encoding": ACCEPT_ENCODING,
                    },
                    allow_redirects=False,
                ) as answer,
            ):
                if answer.status != HTTPStatus.OK:
                    raise PriceApiAway
                encoding = answer.headers.get("Content-Encoding", "")
                body = await read_bounded(answer.content.iter_any(), encoding, ANSWER_BYTES_MAX)
            return PriceList.model_validate_json(body)
        except (
            aiohttp.ClientError,
            HttpProcessingError,
            OSError,
            ValidationError,
            BodyTooLarge,
            BodyUndecodable,
        ):
            raise PriceApiAway from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=ASKED_AT_ONCE_MAX),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_seconds_max),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
            )
        return self._session


def _address(url: str) -> yarl.URL:
    try:
        base = yarl.URL(url)
        base.origin()
    except ValueError:
        base = yarl.URL()
    bare = base.host and not (base.user or base.password or base.query_string or base.fragment)
    if base.scheme not in ("http", "https") or not bare:
        raise ConfigurationError("PRICE_API_URL: expected http(s)://host[:port][/path]")
    return base / "internal" / "price"
