"""What people ask about symbols, assets and what exchanges say of them."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

from backend.app.database import Database
from backend.app.errors import BadRequest, SymbolUnknown
from backend.app.repositories.market_reference_repository import MarketReferenceRepository
from backend.app.schemas.market_schemas import (
    ExchangeDocument,
    MarketAsset,
    MarketAssetPage,
    MarketSymbol,
    MarketSymbolPage,
    SymbolFilter,
)
from backend.app.services.market.symbol_names import SymbolNames


class ReferenceService:
    """Reads the reference data of trading."""

    def __init__(self, database: Database, names: SymbolNames) -> None:
        self._database = database
        self._names = names

    async def symbols(
        self, wanted: SymbolFilter, limit: int, cursor: str | None
    ) -> MarketSymbolPage:
        """Return symbols in order of their names, those of one exchange after those of another.

        Raises:
            BadRequest: the cursor is none of ours.
        """
        after = _place(cursor, 2)
        async with self._database.snapshot() as session:
            found = await MarketReferenceRepository(session).symbols(
                wanted.model_dump(exclude_none=True),
                None if after is None else (after[0], after[1]),
                limit + 1,
            )
        last = found[limit - 1] if len(found) > limit else None
        return MarketSymbolPage(
            items=[MarketSymbol.model_validate(each) for each in found[:limit]],
            next_cursor=_cursor(last.symbol, last.exchange) if last else None,
        )

    async def symbol(self, name: str) -> list[MarketSymbol]:
        """Return a symbol as each exchange lists it, by any of its names.

        Raises:
            SymbolUnknown: no symbol that is kept has this name.
            MarketDataUnavailable: no source ever answered.
        """
        symbol = await self._names.resolve(name)
        async with self._database.snapshot() as session:
            found = await MarketReferenceRepository(session).symbols({"symbol": symbol}, None, 10)
        return [MarketSymbol.model_validate(each) for each in found]

    async def assets(self, limit: int, cursor: str | None) -> MarketAssetPage:
        """Return assets in order of their codes.

        Raises:
            BadRequest: the cursor is none of ours.
        """
        after = _place(cursor, 1)
        async with self._database.snapshot() as session:
            found = await MarketReferenceRepository(session).assets(
                None if after is None else after[0], limit + 1
            )
        return MarketAssetPage(
            items=[MarketAsset.model_validate(each) for each in found[:limit]],
            next_cursor=_cursor(found[limit - 1].code) if len(found) > limit else None,
        )

    async def asset(self, code: str) -> MarketAsset:
        """Return one asset.

        Raises:
            AssetUnknown: no symbol that is kept trades it.
        """
        async with self._database.snapshot() as session:
            found = await MarketReferenceRepository(session).asset(code.upper())
        return MarketAsset.model_validate(found)

    async def documents(self, name: str) -> list[ExchangeDocument]:
        """Return what each exchange's own document says of a symbol now.

        Raises:
            SymbolUnknown: no symbol that is kept has this name, or no document of it could be kept.
            MarketDataUnavailable: no source ever answered.
        """
        symbol = await self._names.resolve(name)
        async with self._database.snapshot() as session:
            found = await MarketReferenceRepository(session).newest_documents([symbol])
        if not found:
            raise SymbolUnknown("No document of this symbol is kept.", facts={"near": [symbol]})
        return [ExchangeDocument.model_validate(each) for each in found]


def _cursor(*place: str) -> str:
    return urlsafe_b64encode(json.dumps(place).encode()).decode()


def _place(cursor: str | None, parts: int) -> Sequence[str] | None:
    if cursor is None:
        return None
    try:
        place = json.loads(urlsafe_b64decode(cursor.encode()))
    except (ValueError, RecursionError):
        place = None
    if not isinstance(place, list) or len(place) != parts or not all(map(_is_name, place)):
        raise BadRequest("This cursor is not one of ours.")
    return place


def _is_name(part: object) -> bool:
    return isinstance(part, str) and part.isprintable()
