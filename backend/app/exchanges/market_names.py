"""What an exchange's own market names mean: BTCUSDT is BTC/USDT, because the exchange says so.

Five of the eight write base and quote without anything between them, and no rule tells them apart:
their own public lists do. A list is asked for when a name nobody knows yet appears, and kept for an
hour. Without it the symbol stays unknown; it is never guessed.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from backend.app.exchanges.asking import member

KEPT_SECONDS: Final = 3600.0
ASK_SECONDS_MAX: Final = 3.0
"""The orders are the answer; their symbols may not hold it up for longer."""
ASKED_BY_NAME_MAX: Final = 100
_NAMES_MAX: Final = 20_000
# The names go into a query.
_NAME: Final = re.compile(r"[A-Za-z0-9]{1,40}", re.ASCII)
_ASSET: Final = re.compile(r"[A-Za-z0-9]{1,30}", re.ASCII)


@dataclass(frozen=True, slots=True)
class NamesCall:
    """A public call that lists markets, and under which names it tells them."""

    method: str
    rows: tuple[str, ...]
    base: str
    quote: str
    params: Mapping[str, str] = field(default_factory=dict)
    by_name: Callable[[Sequence[str]], Mapping[str, str]] | None = None
    """Where the whole list is too long, what asks for these names alone."""

    def asks(self, names: Sequence[str]) -> Mapping[str, str]:
        """Return the parameters that ask for these names, or for all."""
        if self.by_name is None:
            return self.params
        return {**self.params, **self.by_name(names)}

    def read(self, value: Any) -> dict[str, str]:
        """Return symbols by name; a row that is not as documented is left out."""
        listed = member(value, *self.rows)
        return dict(self._read(listed if isinstance(listed, list) else []))

    def _read(self, rows: list[Any]) -> Iterator[tuple[str, str]]:
        for row in rows[:_NAMES_MAX]:
            name, base, quote = (member(row, key) for key in ("symbol", self.base, self.quote))
            if _matches(_NAME, name) and _matches(_ASSET, base) and _matches(_ASSET, quote):
                yield name, f"{base}/{quote}".upper()


class MarketNames:
    """The names of all exchanges, shared by every question of an hour."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._kept: dict[str, tuple[float, dict[str, str | None]]] = {}

    def symbol(self, exchange: str, name: str) -> str | None:
        """Return what a name means, where that was told."""
        return self._fresh(exchange).get(name)

    def unknown(self, exchange: str, names: Collection[str]) -> tuple[str, ...]:
        """Return the names nobody asked about within the hour, a bounded number of them."""
        known = self._fresh(exchange)
        unknown = sorted(n for n in set(names) if n not in known and _matches(_NAME, n))
        return tuple(unknown[:ASKED_BY_NAME_MAX])

    def keep(self, exchange: str, asked: Collection[str], told: Mapping[str, str]) -> None:
        """Remember what was told, and also that of some names nothing was."""
        known = self._fresh(exchange)
        if len(known) + len(told) + len(asked) > _NAMES_MAX or not known:
            known = {}
            self._kept[exchange] = (self._monotonic() + KEPT_SECONDS, known)
        known.update(dict.fromkeys(asked), **told)

    def _fresh(self, exchange: str) -> dict[str, str | None]:
        until, names = self._kept.get(exchange, (0.0, {}))
        return names if until > self._monotonic() else {}


def _matches(form: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None


BINANCE: Final = NamesCall(
    "publicGetExchangeInfo",
    ("symbols",),
    "baseAsset",
    "quoteAsset",
    by_name=lambda names: {"symbols": json.dumps(names, separators=(",", ":"))},
)
BYBIT: Final = NamesCall(
    "publicGetV5MarketInstrumentsInfo",
    ("result", "list"),
    "baseCoin",
    "quoteCoin",
    {"category": "spot"},
)
HTX: Final = NamesCall("spotPublicGetV1CommonSymbols", ("data",), "base-currency", "quote-currency")
BITGET: Final = NamesCall("publicSpotGetV2SpotPublicSymbols", ("data",), "baseCoin", "quoteCoin")
MEXC: Final = NamesCall(
    "spotPublicGetExchangeInfo",
    ("symbols",),
    "baseAsset",
    "quoteAsset",
    by_name=lambda names: {"symbols": ",".join(names)},
)
