"""What each exchange's headers say when one has asked too often; OKX has none.

Source: Binance and MEXC, "Limits"; Bybit, "Rate Limit Rules"; HTX, "Rate Limiting Rule"; KuCoin,
"Rate Limit"; Gate, "Rate Limit"; Bitget, "FAQ".
"""

from collections.abc import Mapping
from typing import Final

WINDOW_MS: Final = 5_000
"""How long one is told to wait."""

_SECOND_MS: Final = 1_000


def throttle_headers(exchange: str, now_ms: int) -> Mapping[str, str]:
    """Return the headers of an exchange's answer to one request too many."""
    over_ms = now_ms + WINDOW_MS
    seconds = str(WINDOW_MS // _SECOND_MS)
    known: Mapping[str, Mapping[str, str]] = {
        "binance": {"retry-after": seconds, "x-mbx-used-weight-1m": "6001"},
        "bybit": {
            "x-bapi-limit": "10",
            "x-bapi-limit-status": "0",
            "x-bapi-limit-reset-timestamp": str(over_ms),
        },
        "htx": {
            "x-hb-ratelimit-requests-remain": "0",
            "x-hb-ratelimit-requests-expire": str(over_ms),
        },
        "kucoin": {
            "gw-ratelimit-limit": "4000",
            "gw-ratelimit-remaining": "0",
            "gw-ratelimit-reset": str(WINDOW_MS),
        },
        "gate": {
            "x-gate-ratelimit-limit": "200",
            "x-gate-ratelimit-requests-remain": "0",
            "x-gate-ratelimit-reset-timestamp": str(over_ms // _SECOND_MS),
        },
        "bitget": {"x-mbx-used-remain-limit": "0"},
        "mexc": {"retry-after": seconds},
    }
    return known.get(exchange, {})
