"""A message of a live channel, as every layer hands it on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

PRICES: Final = "prices"
NOTIFICATIONS: Final = "notifications"
CANDLES: Final = "candles"
TRADES: Final = "trades"
BOOK: Final = "book"
ORDERS: Final = "orders"
ADMINISTRATORS_NOTIFICATIONS: Final = f"{NOTIFICATIONS}:administrators"
"""What concerns the installation: only administrators may hear it."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `seq` counts the messages of its channel from 1 without gaps."""

    channel: str
    seq: int
    body: Mapping[str, Any]


def candles_channel(symbol: str, interval: str) -> str:
    """Return the channel of a symbol's candles: `candles:BTC/USDT:1m`."""
    return f"{CANDLES}:{symbol}:{interval}"


def notifications_channel(user_id: int) -> str:
    """Return the channel of one user's notifications, which nobody else may hear."""
    return f"{NOTIFICATIONS}:{user_id}"


def trades_channel(symbol: str) -> str:
    """Return the channel of a spot market's trades: `trades:BTC/USDT`."""
    return f"{TRADES}:{symbol}"


def book_channel(symbol: str) -> str:
    """Return the channel of a spot market's book: `book:BTC/USDT`."""
    return f"{BOOK}:{symbol}"


def orders_channel(user_id: int) -> str:
    """Return the channel of one user's orders and fills, which nobody else may hear."""
    return f"{ORDERS}:{user_id}"
