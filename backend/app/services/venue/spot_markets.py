"""The markets of a shard, the spot markets first of all, by their ids and by people's names."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.errors import SymbolUnknown
from backend.app.models.venue import Instrument as InstrumentRow
from backend.app.repositories.venue_repository import VenueRepository
from backend.app.services.market.symbol_names import NameBook
from backend.app.services.venue.amounts import whole_units
from backend.app.venue.instruments import ATOMS_PER_UNIT, Instrument

SPOT_SHARD: Final = 1
MARKETS_KEPT_FOR: Final = timedelta(seconds=5)
"""How long it takes at most until every process knows that a market was halted."""


class Markets:
    """Some markets as they were at one moment."""

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self.by_id: Mapping[int, Instrument] = {each.id: each for each in instruments}
        self._by_symbol = {each.symbol: each for each in self.by_id.values()}
        self._names = NameBook(self._by_symbol)

    @property
    def assets(self) -> set[str]:
        """What changes hands on them."""
        return {
            asset
            for each in self.by_id.values()
            for asset in (each.base_asset, each.quote_asset)
            if asset is not None
        }

    def find(self, name: str) -> Instrument | None:
        """Return the market of a name, in any of its spellings."""
        # Programs say it in full.
        found = self._by_symbol.get(name)
        if found is None and (symbol := self._names.find(name)) is not None:
            found = self._by_symbol[symbol]
        return found

    def near(self, name: str) -> list[str]:
        """Return the symbols that look most like a name."""
        return self._names.near(name)


class ShardMarkets:
    """Reads the markets of a shard, and remembers them for a moment."""

    def __init__(self, database: Database, now: Clock, shard: int = SPOT_SHARD) -> None:
        self._database = database
        self._now = now
        self._shard = shard
        self._read: tuple[datetime, Markets] | None = None
        self._reading = asyncio.Lock()

    async def all(self) -> Markets:
        """Return the markets."""
        found = self._fresh()
        if found is None:
            # One reads for all who ask meanwhile: it may be everybody.
            async with self._reading:
                found = self._fresh() or await self._read_anew()
        return found

    async def named(self, name: str) -> Instrument:
        """Return the market of a name, in any of its spellings.

        Raises:
            SymbolUnknown: there is none.
        """
        markets = await self.all()
        found = markets.find(name)
        if found is None:
            facts = {"near": markets.near(name)}
            raise SymbolUnknown("No market of that name is here.", facts=facts)
        return found

    async def resolve(self, name: str) -> str:
        """Return the symbol of a name, in any of its spellings.

        Raises:
            SymbolUnknown: there is none.
        """
        return (await self.named(name)).symbol

    def _fresh(self) -> Markets | None:
        if self._read is None or self._now() - self._read[0] >= MARKETS_KEPT_FOR:
            return None
        return self._read[1]

    async def _read_anew(self) -> Markets:
        now = self._now()
        async with self._database.snapshot() as session:
            rows = await VenueRepository(session).instruments(self._shard)
        found = Markets(map(_instrument, rows))
        self._read = now, found
        return found


def _instrument(row: InstrumentRow) -> Instrument:
    return Instrument(
        id=row.id,
        symbol=row.symbol,
        name=row.name,
        quote_asset=row.quote_asset,
        ticks_per_unit=row.ticks_per_unit,
        price_ticks_min=row.price_ticks_min,
        price_ticks_max=row.price_ticks_max,
        order_lots_max=row.order_lots_max,
        base_asset=row.base_asset,
        lots_per_unit=row.lots_per_unit,
        # Less than an atom of the smallest worth is none.
        notional_atoms_min=whole_units(row.notional_min, ATOMS_PER_UNIT) or 0,
        maker_fee_ppm=row.maker_fee_ppm,
        taker_fee_ppm=row.taker_fee_ppm,
        is_active=row.is_active,
    )
