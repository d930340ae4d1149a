"""Unmodified CCXT clients whose every address points at the sandbox, and who are patient."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import ccxt.async_support as ccxt
from ccxt import pro

from backend.app.exchanges.wire import SigningKeys

_URL_TABLES = ("api", "test", "demo", "demotrading")
SECONDS_MAX = 60
"""As long as a busy machine may take for an answer, and an exchange a request to be under way."""

LEAN_OPTIONS: dict[str, dict[str, Any]] = {
    "binance": {"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False},
    "okx": {"fetchMarkets": {"types": ["spot"]}},
    "bybit": {
        "defaultType": "spot",
        "fetchMarkets": {"types": ["spot"]},
        "enableUnifiedMargin": False,
        "enableUnifiedAccount": True,
    },
    "htx": {"fetchMarkets": {"types": {"spot": True, "linear": False, "inverse": False}}},
    "kucoin": {
        "uta": False,
        "hf": False,
        "fetchMarkets": {"types": ["spot"], "fetchTickersFees": False},
    },
    "gate": {"fetchMarkets": {"types": ["spot"]}, "unifiedAccount": False},
    "bitget": {"fetchMarkets": {"types": ["spot"]}, "uta": False},
    "mexc": {},
}


@contextlib.asynccontextmanager
async def ccxt_client(
    exchange: str, url: str, keys: SigningKeys | None, **config: Any
) -> AsyncIterator[Any]:
    """Yield a client of one exchange that can reach nothing but `url`."""
    credentials: dict[str, Any] = {}
    if keys is not None:
        credentials = {"apiKey": keys.api_key, "secret": keys.api_secret}
        if keys.passphrase is not None:
            credentials["password"] = keys.passphrase
    client = getattr(ccxt, exchange)({"enableRateLimit": False, **credentials, **config})
    _be_patient(client)
    for table in _URL_TABLES:
        if table in client.urls:
            client.urls[table] = redirected(client.urls[table], url)
    try:
        yield client
    finally:
        await client.close()


@contextlib.asynccontextmanager
async def streaming_client(
    exchange: str, url: str, keys: SigningKeys | None, **config: Any
) -> AsyncIterator[Any]:
    """Yield a client that also listens, and can reach nothing but `url`."""
    credentials = {} if keys is None else {"apiKey": keys.api_key, "secret": keys.api_secret}
    client = getattr(pro, exchange)({"enableRateLimit": False, **credentials, **config})
    _be_patient(client)
    streams = client.urls["api"]["ws"]
    client.urls["api"] = redirected(client.urls["api"], url)
    client.urls["api"]["ws"] = redirected(streams, url.replace("http", "ws", 1))
    try:
        yield client
    finally:
        await client.close()


def _be_patient(client: Any) -> None:
    client.timeout_on_exit = 0
    client.timeout = SECONDS_MAX * 1000
    client.options["recvWindow"] = SECONDS_MAX * 1000


def lean_config(exchange: str) -> dict[str, Any]:
    """Return the constructor settings of a client that asks only what is needed."""
    return {"options": dict(LEAN_OPTIONS[exchange]), "has": {"fetchCurrencies": False}}


def redirected(value: Any, url: str) -> Any:
    """Return a table of addresses in which every scheme and host has become `url`."""
    if isinstance(value, dict):
        return {name: redirected(item, url) for name, item in value.items()}
    if not isinstance(value, str):
        return value
    return url + urlsplit(value.replace("{hostname}", "host")).path
