"""What the market services need of the exchanges; `exchanges/market_source.py` has it."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from backend.app.exchanges.market_data import BadQuote, MarketListing, Quote, SourceCandle


class PublicMarkets(Protocol):
    """Tells what exchanges tell everybody, or raises `MarketSourceUnavailable`."""

    async def quotes(self, exchange: str, symbols: Collection[str]) -> dict[str, Quote | BadQuote]:
        """Return, for every symbol asked for, its last price or why it has none."""
        ...

    async def markets(self, exchange: str) -> tuple[MarketListing, ...]:
        """Return the spot markets of an exchange."""
        ...

    async def candles(
        self, exchange: str, symbol: str, interval: str, start: datetime, limit: int
    ) -> tuple[SourceCandle, ...]:
        """Return candles that open from `start` on, oldest first."""
        ...

    async def close(self) -> None:
        """Let go of what is open."""
        ...
