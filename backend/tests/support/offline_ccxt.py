"""Unmodified CCXT without a network: requests go straight to an exchange's answers.

Only the sending and the clock are replaced: CCXT builds every request and reads every answer.
"""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import ccxt.async_support as ccxt

from backend.tests.support.fake_world import API_KEY, Asker


def offline_client(exchange: str, asker: Asker, **config: Any) -> Any:
    """Return a CCXT client with made-up credentials whose exchange is `asker`."""

    async def fetch(
        url: str, method: str = "GET", headers: Any = None, body: str | None = None
    ) -> Any:
        parts = urlsplit(url)
        parsed = json.loads(body) if body else None
        status, said = asker.ask(method, parts.path, dict(parse_qsl(parts.query)), parsed)
        text = json.dumps(said, default=str)
        response = json.loads(text)
        client.handle_errors(status, "", url, method, {}, text, response, headers, body)
        client.handle_http_status_code(status, "", url, method, text)
        return response

    credentials = {"apiKey": API_KEY, "secret": "0" * 32, "password": "0" * 16}
    client = getattr(ccxt, exchange)({"enableRateLimit": False, **credentials, **config})
    client.fetch = fetch
    client.milliseconds = asker.world.now_ms
    return client
