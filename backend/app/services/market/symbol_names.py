"""What people call a symbol, and which one that is: told by the table of symbols, never guessed.

`BTC/USDT` is the one form in tables and answers. People type `btc-usdt`, `BTC_USDT` and `BTCUSDT`
too; the last could be cut in many places, and only the table knows where.

Source: docs/decisions/0020-symbols-in-one-form.md
"""

import difflib
import json
from collections.abc import Iterable
from typing import Final

from backend.app.database import Database
from backend.app.errors import MarketDataUnavailable, SymbolUnknown
from backend.app.models.market_reference import SYMBOL_LENGTH_MAX
from backend.app.repositories.market_reference_repository import MarketReferenceRepository
from backend.app.services.cache_service import CacheService

NEAR_SYMBOLS_MAX: Final = 5
_NEAR_RATIO_MIN: Final = 0.6
_STROKES: Final = str.maketrans("-_:", "///")
_CACHE_KEY: Final = "market:symbols"


class NameBook:
    """The names of some symbols."""

    def __init__(self, symbols: Iterable[str]) -> None:
        self._symbols = {_spelled(symbol): symbol for symbol in symbols}
        self._compact: dict[str, str | None] = {}
        for spelled, symbol in self._symbols.items():
            compact = compact_form(spelled)
            # A name that could mean two symbols means neither.
            self._compact[compact] = None if compact in self._compact else symbol

    def find(self, name: str) -> str | None:
        """Return the symbol of a name, in any of its spellings.

        >>> NameBook(["BTC/USDT"]).find("btc-usdt"), NameBook(["BTC/USDT"]).find("BTCUSD")
        ('BTC/USDT', None)
        """
        if len(name) > SYMBOL_LENGTH_MAX:
            return None
        spelled = _spelled(name)
        return self._symbols.get(spelled) if "/" in spelled else self._compact.get(spelled)

    def near(self, name: str) -> list[str]:
        """Return the symbols that look most like a name, the nearest first."""
        by_compact = {compact_form(spelled): symbol for spelled, symbol in self._symbols.items()}
        wanted = compact_form(_spelled(name[:SYMBOL_LENGTH_MAX]))
        found = difflib.get_close_matches(wanted, by_compact, NEAR_SYMBOLS_MAX, _NEAR_RATIO_MIN)
        return [by_compact[compact] for compact in found]

    def __len__(self) -> int:
        return len(self._symbols)


class SymbolNames:
    """Finds the symbol that a name stands for among those that are kept."""

    def __init__(self, database: Database, cache: CacheService, ttl_seconds: int) -> None:
        self._database = database
        self._cache = cache
        self._ttl_seconds = ttl_seconds
        self._read: tuple[bytes, NameBook] = (b"[]", NameBook(()))

    async def resolve(self, name: str) -> str:
        """Return the symbol of a name: `BTC/USDT` for `BTCUSDT`, `btc-usdt`, `BTC_USDT`.

        Raises:
            SymbolUnknown: none of those that are kept has this name.
            MarketDataUnavailable: none is kept yet, because no source has answered.
        """
        book = await self.book()
        symbol = book.find(name)
        if symbol is not None:
            return symbol
        if not len(book):
            raise MarketDataUnavailable
        raise SymbolUnknown("No symbol of that name is kept here.", facts={"near": book.near(name)})

    async def book(self) -> NameBook:
        """Return the names of all symbols that are kept."""
        names = await self._cache.through(_CACHE_KEY, self._ttl_seconds, self._load)
        if names is not self._read[0]:
            self._read = names, NameBook(json.loads(names))
        return self._read[1]

    async def forget(self) -> None:
        """Read the table anew, after what was kept has changed."""
        await self._cache.forget(_CACHE_KEY, self._ttl_seconds)

    async def _load(self) -> bytes:
        async with self._database.snapshot() as session:
            return json.dumps(await MarketReferenceRepository(session).names()).encode()


def compact_form(symbol: str) -> str:
    """Return a symbol without its stroke."""
    return symbol.replace("/", "")


def _spelled(name: str) -> str:
    return name.strip().upper().translate(_STROKES)
