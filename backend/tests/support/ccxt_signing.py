"""Requests signed by unmodified CCXT, offline and at a fixed time, as they would travel."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import ccxt.async_support

from backend.app.exchanges.wire import SigningKeys, WireRequest


def signed_by_ccxt(
    exchange: str,
    method: str,
    path: str,
    api: list[str],
    params: Mapping[str, Any],
    *,
    keys: SigningKeys,
    now_ms: int,
) -> WireRequest:
    """Return the request CCXT's own class would send for this call at this moment."""
    base = getattr(ccxt.async_support, exchange)

    class FixedInTime(base):
        def milliseconds(self) -> int:
            return now_ms

    client = FixedInTime(
        {"apiKey": keys.api_key, "secret": keys.api_secret, "password": keys.passphrase}
    )
    sent = client.sign(path, api, method, dict(params))
    parts = urlsplit(sent["url"])
    return WireRequest(
        method,
        parts.path,
        parts.query,
        {name.lower(): value for name, value in (sent["headers"] or {}).items()},
        (sent["body"] or "").encode(),
    )
