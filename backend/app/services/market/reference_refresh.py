"""Fills assets, symbols and what exchanges say of them, for the markets that `SYMBOLS` names."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.exchanges.market_data import MarketListing, MarketSourceUnavailable
from backend.app.logs import logger
from backend.app.models.market_reference import ASSET_LENGTH_MAX
from backend.app.repositories.market_reference_repository import MarketReferenceRepository
from backend.app.services.market.public_markets import PublicMarkets
from backend.app.services.market.refresher_lock import Confirm
from backend.app.services.market.symbol_names import NameBook, SymbolNames, compact_form

DOCUMENT_BYTES_MAX: Final = 64 * 1024
"""What an exchange says of one symbol is kept up to here."""
_PLACES_MAX: Final = 18
_LOG = logger(__name__)


class ReferenceRefresh:
    """Asks the sources which markets they list, and keeps those that were chosen."""

    def __init__(
        self,
        *,
        database: Database,
        source: PublicMarkets,
        exchanges: Sequence[str],
        wanted: Collection[str],
        names: SymbolNames,
        now: Clock,
    ) -> None:
        self._database = database
        self._source = source
        self._exchanges = exchanges
        self._wanted = wanted
        self._names = names
        self._now = now

    async def refresh(self, confirm: Confirm) -> bool:
        """Keep what each source lists of the symbols; False if one of them did not answer."""
        answered = [await self._keep(exchange, confirm) for exchange in self._exchanges]
        return all(answered)

    async def _keep(self, exchange: str, confirm: Confirm) -> bool:
        try:
            listed = await self._source.markets(exchange)
        except MarketSourceUnavailable as silence:
            _LOG.warning("market_list_away", source=exchange, fault=silence.fault.value)
            return False
        chosen = self._chosen(exchange, listed)
        try:
            async with self._database.transaction() as session:
                await confirm(session)
                repository = MarketReferenceRepository(session)
                await repository.keep_assets(_assets(chosen))
                await repository.keep_symbols([_symbol(exchange, each) for each in chosen])
                await repository.retire_symbols(exchange, [each.symbol for each in chosen])
                await repository.keep_documents(exchange, _documents(chosen), self._now())
        finally:
            await self._names.forget()
        return True

    def _chosen(self, exchange: str, listed: Iterable[MarketListing]) -> list[MarketListing]:
        by_symbol = {each.symbol: each for each in listed if _fits(each)}
        names = NameBook(by_symbol)
        found = {name: names.find(name) for name in self._wanted}
        absent = [name for name, symbol in found.items() if symbol is None]
        if absent:
            _LOG.warning("symbol_not_listed", source=exchange, symbols=" ".join(absent))
        return [by_symbol[symbol] for symbol in sorted({s for s in found.values() if s})]


def _fits(listing: MarketListing) -> bool:
    codes = (listing.base, listing.quote)
    return all(0 < len(code) <= ASSET_LENGTH_MAX and code.isprintable() for code in codes)


def _symbol(exchange: str, listing: MarketListing) -> dict[str, Any]:
    return {
        "exchange": exchange,
        "symbol": listing.symbol,
        "compact": compact_form(listing.symbol),
        "base_asset": listing.base,
        "quote_asset": listing.quote,
        # Zero is what is not told.
        "tick_size": listing.tick_size or 0,
        "step_size": listing.step_size or 0,
        "min_notional": listing.min_notional or 0,
        "is_active": listing.is_active,
    }


def _assets(listings: Iterable[MarketListing]) -> list[dict[str, Any]]:
    """Return each asset with as many places as its markets' amounts of it have.

    Amounts of a base move in steps, amounts of a quote in steps times ticks.
    """
    places: dict[str, int] = {}
    for each in listings:
        step, tick = _places(each.step_size), _places(each.tick_size)
        places[each.base] = max(places.get(each.base, 0), step)
        places[each.quote] = max(places.get(each.quote, 0), min(step + tick, _PLACES_MAX))
    # No exchange of the eight tells names along with its markets.
    return [{"code": code, "name": code, "base_precision": places[code]} for code in sorted(places)]


def _places(size: Decimal | None) -> int:
    exponent = size.normalize().as_tuple().exponent if size else 0
    return min(max(0, -exponent), _PLACES_MAX) if isinstance(exponent, int) else 0


def _documents(listings: Iterable[MarketListing]) -> Mapping[str, Mapping[str, Any]]:
    read = {each.symbol: _storable(each.raw) for each in listings}
    return {symbol: document for symbol, document in read.items() if document is not None}


def _storable(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    written = json.dumps(document, ensure_ascii=False)
    try:
        size_bytes = len(written.encode())
    except UnicodeEncodeError:
        return None
    # PostgreSQL's JSON has no such character.
    if size_bytes > DOCUMENT_BYTES_MAX or "\\u0000" in written:
        return None
    stored: Mapping[str, Any] = json.loads(written)
    return stored
