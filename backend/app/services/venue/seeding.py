"""The instruments that belong here, put back where they are missing.

Nothing that is there is changed, apart from a halt that is to end: orders, trades and the journal
rest on what an instrument was when they came about.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from backend.app.database import Database
from backend.app.models.venue import Instrument as InstrumentRow
from backend.app.repositories.instrument_repository import InstrumentRepository
from backend.app.services.venue.amounts import in_decimal
from backend.app.services.venue.listed_instruments import LISTED
from backend.app.venue.instruments import ATOMS_PER_UNIT, Instrument


@dataclass(frozen=True)
class Seeded:
    """The symbols of what belongs here, by what became of it, and what cannot be put right."""

    added: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    there: list[str] = field(default_factory=list)
    halted: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Sentences: what is not as it belongs, and is left as it is."""


async def seed(database: Database, *, opens: bool) -> Seeded:
    """Add what is missing, and open what is halted if `opens` says so.

    Raises:
        DatabaseUnavailable: nothing was added, or all of it.
    """
    seeded, missing = Seeded(), []
    async with database.transaction() as session:
        repository = InstrumentRepository(session)
        rows = await repository.held()
        by_symbol = {row.symbol: row for row in rows}
        symbols = {row.id: row.symbol for row in rows}
        for shard, listed in LISTED:
            row = by_symbol.get(listed.symbol)
            if row is not None:
                _look_at(row, _columns(shard, listed), seeded, opens=opens)
            elif listed.id in symbols:
                seeded.refused.append(
                    f"{listed.symbol} cannot be added: its number {listed.id} is that of"
                    f" {symbols[listed.id]}."
                )
            else:
                missing.append(InstrumentRow(**_columns(shard, listed), is_active=True))
        if missing:
            await repository.add(missing)
            seeded.added.extend(row.symbol for row in missing)
    return seeded


def _look_at(
    row: InstrumentRow, belongs: Mapping[str, Any], seeded: Seeded, *, opens: bool
) -> None:
    differing = list(_differing(row, belongs))
    if differing:
        seeded.refused.append(f"{row.symbol} is left as it is: {', '.join(differing)}.")
    if not row.is_active and opens:
        row.is_active = True
        seeded.opened.append(row.symbol)
    elif not row.is_active:
        seeded.halted.append(row.symbol)
    elif not differing:
        seeded.there.append(row.symbol)


def _differing(row: InstrumentRow, belongs: Mapping[str, Any]) -> Iterator[str]:
    for name, due in belongs.items():
        found = getattr(row, name)
        # A pair that was listed here under another number is the same pair.
        if found != due and (name != "id" or row.base_asset is None):
            yield f"{name} is {_told(found)}, not {_told(due)}"


def _told(value: object) -> str:
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


def _columns(shard: int, listed: Instrument) -> dict[str, Any]:
    columns = listed._asdict()
    del columns["is_active"]
    notional = in_decimal(columns.pop("notional_atoms_min"), ATOMS_PER_UNIT)
    return {**columns, "shard": shard, "notional_min": notional}
