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
    from binance.ws.constants import WSListenerState

SECONDS_MAX = 60
"""As long as a busy machine may take for an answer, and the exchange a request to be under way."""


def blocking_client(url: str, keys: SigningKeys) -> Any:
    """Return the client that waits, at `url` instead of the exchange."""
    client = Client(keys.api_key, keys.api_secret, {"timeout": SECONDS_MAX}, ping=False)
    client.REQUEST_RECVWINDOW = SECONDS_MAX * 1000
    client.API_URL = f"{url}/api"
    client.MARGIN_API_URL = f"{url}/sapi"
    return client


@asynccontextmanager
async def listening_client(url: str, keys: SigningKeys) -> AsyncIterator[tuple[Any, Any]]:
    """Yield the client of an event loop and its streams, at `url` instead of the exchange."""
    wire = url.replace("http", "ws", 1)
    client = AsyncClient(keys.api_key, keys.api_secret, {"timeout": SECONDS_MAX})
    client.REQUEST_RECVWINDOW = SECONDS_MAX * 1000
    client.API_URL = f"{url}/api"
    # It has no other way.
    client.ws_api._url = f"{wire}/ws-api/v3"
    client.ws_api.TIMEOUT = SECONDS_MAX
    streams = BinanceSocketManager(client)
    streams.STREAM_URL = f"{wire}/"
    try:
        yield client, streams
    finally:
        await hang_up(client.ws_api)
        await client.close_connection()


async def hang_up(connection: Any) -> None:
    """Let a connection learn at once that it is to end: it asks itself only between two waits."""
    connection.ws_state = WSListenerState.EXITING
    if connection.ws is not None:
        await connection.ws.close()
