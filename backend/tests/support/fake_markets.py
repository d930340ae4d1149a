"""Exchanges whose markets say what a test tells them to, instead of `MarketSource`."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

from backend.app.clock import Clock
from backend.app.exchanges.market_data import (
    BadQuote,
    BadQuoteReason,
    MarketFault,
    MarketListing,
    MarketSourceUnavailable,
    Quote,
    SourceCandle,
)

Answer = str | BadQuoteReason | Quote
"""A price as text, told as of now; why there is none; or a whole quote."""


def listing(symbol: str, **changes: object) -> MarketListing:
    """Return a market as an exchange lists it."""
    base, _, quote = symbol.partition("/")
    told: dict[str, object] = {
        "symbol": symbol,
        "base": base,
        "quote": quote,
        "tick_size": Decimal("0.01"),
        "step_size": Decimal("0.0001"),
        "min_notional": Decimal(5),
        "min_amount": None,
        "max_amount": None,
        "is_active": True,
        "exchange_name": base + quote,
        "raw": {"symbol": base + quote, "status": "TRADING"},
        **changes,
    }
    return MarketListing(**told)  # type: ignore[arg-type]


class FakeMarkets:
    """What each exchange lists and tells; one that is in `away` gives no answer."""

    def __init__(self, now: Clock) -> None:
        self.now = now
        self.lists: dict[str, list[MarketListing]] = {
            "binance": [listing(symbol) for symbol in ("BTC/USDT", "ETH/BTC", "ETH/USDT")]
        }
        self.prices: dict[str, dict[str, Answer]] = {"binance": {}}
        self.away: dict[str, MarketFault] = {}
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def tell(self, exchange: str = "binance", **prices: Answer) -> None:
        """Let an exchange tell prices from now on; `BTC_USDT` stands for BTC/USDT."""
        told = self.prices.setdefault(exchange, {})
        told |= {name.replace("_", "/"): answer for name, answer in prices.items()}

    async def quotes(self, exchange: str, symbols: Collection[str]) -> dict[str, Quote | BadQuote]:
        """Return what was told of each symbol."""
        self.asked.append((exchange, tuple(symbols)))
        self._answer_or_raise(exchange)
        told = self.prices.get(exchange, {})
        return {symbol: self._quote(symbol, told.get(symbol)) for symbol in symbols}

    async def markets(self, exchange: str) -> tuple[MarketListing, ...]:
        """Return the list of an exchange."""
        self._answer_or_raise(exchange)
        return tuple(self.lists.get(exchange, ()))

    async def candles(
        self, exchange: str, symbol: str, interval: str, start: datetime, limit: int
    ) -> tuple[SourceCandle, ...]:
        """Return none: nothing traded."""
        return ()

    async def close(self) -> None:
        """Hold nothing."""

    def _answer_or_raise(self, exchange: str) -> None:
        if exchange in self.away:
            raise MarketSourceUnavailable(exchange, self.away[exchange])

    def _quote(self, symbol: str, answer: Answer | None) -> Quote | BadQuote:
        if isinstance(answer, Quote):
            return answer
        if isinstance(answer, BadQuoteReason) or answer is None:
            return BadQuote(symbol, answer or BadQuoteReason.MISSING)
        return Quote(symbol, Decimal(answer), self.now())
