"""python-binance as its users have it, with nothing changed but the addresses."""

import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from backend.app.exchanges.wire import SigningKeys

with warnings.catch_warnings():
    # It imports names of websockets that are going away.
    warnings.simplefilter("ignore", DeprecationWarning)
    from binance import AsyncClient, BinanceSocketManager, Client

LOOKS_UP_SECONDS = 1
"""A connection that waits for news learns so often whether it is to end: else after ten seconds."""


def blocking_client(url: str, keys: SigningKeys) -> Any:
    """Return the client that waits, at `url` instead of the exchange."""
    client = Client(keys.api_key, keys.api_secret, ping=False)
    client.API_URL = f"{url}/api"
    client.MARGIN_API_URL = f"{url}/sapi"
    return client


@asynccontextmanager
async def listening_client(url: str, keys: SigningKeys) -> AsyncIterator[tuple[Any, Any]]:
    """Yield the client of an event loop and its streams, at `url` instead of the exchange."""
    wire = url.replace("http", "ws", 1)
    client = AsyncClient(keys.api_key, keys.api_secret)
    client.API_URL = f"{url}/api"
    # It has no other way.
    client.ws_api._url = f"{wire}/ws-api/v3"
    client.ws_api.TIMEOUT = LOOKS_UP_SECONDS
    streams = BinanceSocketManager(client)
    streams.STREAM_URL = f"{wire}/"
    try:
        yield client, streams
    finally:
        await client.close_connection()
