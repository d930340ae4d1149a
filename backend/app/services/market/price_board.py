"""The prices as they are answered from: remembered as told, aged at the moment of answering.

What is cached never holds an age, so an old cache makes a price look old, never fresh.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from backend.app.database import Database
from backend.app.errors import MarketDataUnavailable, PriceUnknown
from backend.app.models.latest_price import LatestPrice
from backend.app.money import plain
from backend.app.repositories.market_reference_repository import MarketReferenceRepository
from backend.app.repositories.price_repository import PriceRepository
from backend.app.services.cache_service import CacheService
from backend.app.services.market.price_rules import KnownPrice, StaleBecause
from backend.app.services.market.symbol_names import NameBook, SymbolNames

OLD_AFTER_INTERVALS: Final = 3
"""A price is stale when it is older than so many refreshes."""
_CACHE_KEY: Final = "market:prices"
_FRESH: Final = b',"stale":false,"stale_because":null}'


@dataclass(frozen=True, slots=True)
class _Line:
    """One price, written but for its age."""

    head: bytes
    as_of_ms: int
    because: str | None

    def json(self, now_ms: int, old_ms: int) -> bytes:
        age_ms = max(0, now_ms - self.as_of_ms)
        because = self.because or (StaleBecause.OLD.value if age_ms > old_ms else None)
        tail = b',"stale":true,"stale_because":"%b"}' % because.encode() if because else _FRESH
        return b"%b%d%b" % (self.head, age_ms, tail)


class Prices:
    """All prices of one reading; those of `SYMBOLS` in its order, or the name that has none."""

    def __init__(self, told: bytes, wanted: Iterable[str], old_ms: int) -> None:
        self.told: Final = told
        symbols, rows = json.loads(told)
        names = NameBook(symbols)
        self._is_empty = not symbols
        self._old_ms = old_ms
        self._lines = {symbol: _Line(head.encode(), at, why) for symbol, head, at, why in rows}
        found = (names.find(name) or name for name in wanted)
        self._listed = {symbol: self._lines.get(symbol) for symbol in found}
        self._written: tuple[int, int | None, bytes] = (-1, None, b"")

    def json(self, now: datetime, limit: int | None) -> bytes:
        """Return the JSON of a `PriceList`: the first of `SYMBOLS`, each with its age now.

        Raises:
            MarketDataUnavailable: no source ever answered.
        """
        if self._is_empty:
            raise MarketDataUnavailable
        now_ms = _milliseconds(now)
        # Ages are told in milliseconds: within one the answer stays the same.
        if self._written[:2] != (now_ms, limit):
            self._written = (now_ms, limit, self._write(now_ms, limit))
        return self._written[2]

    def json_of(self, symbol: str, now: datetime) -> bytes:
        """Return the JSON of one `Price`.

        Raises:
            PriceUnknown: nobody ever told one.
        """
        line = self._lines.get(symbol)
        if line is None:
            raise PriceUnknown
        return line.json(_milliseconds(now), self._old_ms)

    def _write(self, now_ms: int, limit: int | None) -> bytes:
        listed = list(islice(self._listed.items(), limit))
        told = b",".join([line.json(now_ms, self._old_ms) for _, line in listed if line])
        missing = [symbol for symbol, line in listed if line is None]
        return b'{"prices":[%b],"missing":%b}' % (told, json.dumps(missing).encode())


class PriceBoard:
    """Reads the last known prices through the cache."""

    def __init__(
        self,
        *,
        database: Database,
        cache: CacheService,
        names: SymbolNames,
        wanted: Collection[str],
        refresh_seconds: int,
        ttl_seconds: int,
    ) -> None:
        self._database = database
        self._cache = cache
        self._names = names
        self._wanted = wanted
        self._old_ms = refresh_seconds * OLD_AFTER_INTERVALS * 1000
        self._ttl_seconds = ttl_seconds
        self._read: Prices | None = None

    async def prices(self) -> Prices:
        """Return what is known, as of within the life of the cache."""
        told = await self._cache.through(_CACHE_KEY, self._ttl_seconds, self._load)
        read = self._read
        if read is None or read.told is not told:
            read = self._read = Prices(told, self._wanted, self._old_ms)
        return read

    async def configured(self) -> list[str]:
        """Return the symbols that `SYMBOLS` names, as far as a source lists them."""
        names = await self._names.book()
        found = (names.find(name) for name in self._wanted)
        return list(dict.fromkeys(symbol for symbol in found if symbol is not None))

    async def forget(self) -> None:
        """Read the table anew, after it was written."""
        await self._cache.forget(_CACHE_KEY, self._ttl_seconds)

    async def snapshot(self) -> dict[str, Any]:
        """Return all prices as the channel `prices` tells them, for whoever begins to listen."""
        # From the table itself: what is cached may be older than the number it would go by.
        async with self._database.snapshot() as session:
            rows = await PriceRepository(session).newest()
        return {"prices": [for_listeners(row) for row in rows]}

    async def _load(self) -> bytes:
        async with self._database.snapshot() as session:
            symbols = await MarketReferenceRepository(session).names()
            rows = [_written(row) for row in await PriceRepository(session).newest()]
        return json.dumps([symbols, rows], separators=(",", ":")).encode()


def instant(moment: datetime) -> str:
    """Return a time as it stands in answers."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def for_listeners(price: KnownPrice | LatestPrice) -> dict[str, str | bool | None]:
    """Return a price as the channel `prices` tells it."""
    # Without its age, which would be wrong on arrival.
    return {
        "symbol": price.symbol,
        "price": plain(price.price),
        "source": price.source,
        "as_of": instant(price.as_of),
        "stale": price.stale_because is not None,
        "stale_because": price.stale_because,
    }


def _written(row: LatestPrice) -> tuple[str, str, int, str | None]:
    told = {
        "symbol": row.symbol,
        "price": plain(row.price),
        "source": row.source,
        "as_of": instant(row.as_of),
    }
    head = json.dumps(told, separators=(",", ":"))[:-1] + ',"age_ms":'
    return row.symbol, head, _milliseconds(row.as_of), row.stale_because


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
