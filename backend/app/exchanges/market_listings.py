"""The spot markets of each exchange: read from CCXT's form, loaded once, kept for an hour."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from backend.app.exchanges.asking import member
from backend.app.exchanges.market_data import (
    MarketFault,
    MarketListing,
    MarketSourceUnavailable,
    positive,
)

KEPT_SECONDS: Final = 3600.0
TRIED_AGAIN_SECONDS: Final = 60.0
"""How long the last list is used before the next try to read it again."""
MARKETS_MAX: Final = 20_000
_ASSET: Final = re.compile(r"[^\s/:]{1,30}")
_NAME_LENGTH_MAX: Final = 60


Listings = Mapping[str, MarketListing]
"""The markets of one exchange, by symbol."""


@dataclass(slots=True)
class _Kept:
    listings: Listings
    loaded_at: float
    try_again_at: float


class MarketLists:
    """The lists of all exchanges. Many may ask at once: one of them loads, all of them wait."""

    def __init__(
        self,
        load: Callable[[str], Awaitable[Sequence[Any]]],
        monotonic: Callable[[], float],
    ) -> None:
        self._load = load
        self._monotonic = monotonic
        self._kept: dict[str, _Kept] = {}
        self._loading: dict[str, asyncio.Task[Listings]] = {}

    async def fresh(self, exchange: str) -> Listings:
        """Return a list not older than an hour.

        Raises:
            MarketSourceUnavailable: there is none, and none came.
        """
        kept = self._kept.get(exchange)
        if kept is not None and self._monotonic() < kept.loaded_at + KEPT_SECONDS:
            return kept.listings
        # Whoever stops waiting must not take the list from the others.
        return await asyncio.shield(self._loading_task(exchange))

    async def known(self, exchange: str) -> Listings:
        """Return the list at hand, and have it read again where it is older than an hour.

        What a market is called hardly ever changes, so no price waits for the list or goes with it.

        Raises:
            MarketSourceUnavailable: none was ever loaded, and none came.
        """
        kept = self._kept.get(exchange)
        if kept is None:
            return await self.fresh(exchange)
        if self._monotonic() >= kept.try_again_at:
            kept.try_again_at = self._monotonic() + TRIED_AGAIN_SECONDS
            self._loading_task(exchange)
        return kept.listings

    async def close(self) -> None:
        """Give up what is being loaded."""
        loading = tuple(self._loading.values())
        for task in loading:
            task.cancel()
        await asyncio.gather(*loading, return_exceptions=True)

    def _loading_task(self, exchange: str) -> asyncio.Task[Listings]:
        task = self._loading.get(exchange)
        if task is None:
            task = asyncio.create_task(self._load_once(exchange))
            self._loading[exchange] = task
            task.add_done_callback(lambda done: self._ended(exchange, done))
        return task

    def _ended(self, exchange: str, task: asyncio.Task[Listings]) -> None:
        self._loading.pop(exchange, None)
        # Where nobody waits, nobody else would look at how it ended.
        if not task.cancelled():
            task.exception()

    async def _load_once(self, exchange: str) -> Listings:
        listings = dict(_read(await self._load(exchange)))
        if not listings:
            raise MarketSourceUnavailable(exchange, MarketFault.NONSENSE)
        now = self._monotonic()
        self._kept[exchange] = _Kept(listings, now, now + KEPT_SECONDS)
        return listings


def _read(markets: Sequence[Any]) -> Iterator[tuple[str, MarketListing]]:
    for market in markets[:MARKETS_MAX]:
        listing = _listing(market) if member(market, "spot") is True else None
        if listing is not None:
            yield listing.symbol, listing


def _listing(market: Any) -> MarketListing | None:
    """Return a market, or None where its names are not fit to be one's."""
    symbol, name, raw = (member(market, key) for key in ("symbol", "id", "info"))
    base, quote = member(market, "base"), member(market, "quote")
    if not (_is_asset(base) and _is_asset(quote) and symbol == f"{base}/{quote}"):
        return None
    if not (isinstance(name, str) and name.isprintable() and len(name) <= _NAME_LENGTH_MAX):
        return None
    return MarketListing(
        symbol=symbol,
        base=base,
        quote=quote,
        tick_size=positive(member(market, "precision", "price")),
        step_size=positive(member(market, "precision", "amount")),
        min_notional=positive(member(market, "limits", "cost", "min")),
        min_amount=positive(member(market, "limits", "amount", "min")),
        max_amount=positive(member(market, "limits", "amount", "max")),
        is_active=member(market, "active") is True,
        exchange_name=name,
        raw=raw if isinstance(raw, dict) else {},
    )


def _is_asset(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and bool(_ASSET.fullmatch(value))
