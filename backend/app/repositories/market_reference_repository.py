"""SQL for assets, symbols and what exchanges say of them. None of it belongs to anybody."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import Insert, distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.errors import AssetUnknown
from backend.app.models.market_reference import Asset, ExchangeInfo, Symbol

NAMES_MAX: Final = 1_000
"""Symbols whose names are kept in mind: those of two sources, and of what was kept before."""


class MarketReferenceRepository:
    """What can be priced and traded, as its exchanges describe it."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def names(self) -> list[str]:
        """Return every symbol once."""
        found = await self._session.scalars(
            select(Symbol.symbol).distinct().order_by(Symbol.symbol).limit(NAMES_MAX)
        )
        return list(found.all())

    async def listed_on(self, exchange: str) -> list[str]:
        """Return the symbols kept of one exchange."""
        found = await self._session.scalars(
            select(Symbol.symbol)
            .where(Symbol.exchange == exchange)
            .order_by(Symbol.symbol)
            .limit(NAMES_MAX)
        )
        return list(found.all())

    async def symbols(
        self, wanted: Mapping[str, Any], after: tuple[str, str] | None, rows_max: int
    ) -> Sequence[Symbol]:
        """Return the next symbols whose columns are as wanted, in order of symbol and exchange."""
        query = select(Symbol).filter_by(**wanted)
        if after is not None:
            query = query.where(tuple_(Symbol.symbol, Symbol.exchange) > after)
        found = await self._session.scalars(
            query.order_by(Symbol.symbol, Symbol.exchange).limit(rows_max)
        )
        return found.all()

    async def assets(self, after: str | None, rows_max: int) -> Sequence[Asset]:
        """Return the next assets in order of their codes."""
        query = select(Asset)
        if after is not None:
            query = query.where(Asset.code > after)
        found = await self._session.scalars(query.order_by(Asset.code).limit(rows_max))
        return found.all()

    async def asset(self, code: str) -> Asset:
        """Return one asset.

        Raises:
            AssetUnknown: there is none.
        """
        found = await self._session.get(Asset, code)
        if found is None:
            raise AssetUnknown
        return found

    async def newest_documents(
        self, symbols: Collection[str], exchange: str | None = None
    ) -> Sequence[ExchangeInfo]:
        """Return what each exchange said last of each of some symbols."""
        query = select(ExchangeInfo).where(ExchangeInfo.symbol.in_(symbols))
        if exchange is not None:
            query = query.where(ExchangeInfo.exchange == exchange)
        newest = query.ext(distinct_on(ExchangeInfo.exchange, ExchangeInfo.symbol)).order_by(
            ExchangeInfo.exchange, ExchangeInfo.symbol, ExchangeInfo.id.desc()
        )
        return (await self._session.scalars(newest)).all()

    async def keep_assets(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add assets, and let those that are there have as many places as any source needs."""
        added = upsert(Asset)
        places = func.greatest(Asset.base_precision, added.excluded.base_precision)
        await self._keep(added, rows, ["code"], {"base_precision": places})

    async def keep_symbols(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add symbols, and correct those that are there."""
        added = upsert(Symbol)
        changing = ("tick_size", "step_size", "min_notional", "is_active")
        corrected = {name: added.excluded[name] for name in changing}
        await self._keep(added, rows, ["exchange", "symbol"], corrected)

    async def retire_symbols(self, exchange: str, kept: Collection[str]) -> None:
        """Mark an exchange's other symbols as no longer active."""
        await self._session.execute(
            update(Symbol)
            .where(Symbol.exchange == exchange, Symbol.symbol.not_in(kept), Symbol.is_active)
            .values(is_active=False, updated_at=func.now())
            .execution_options(synchronize_session=False)
        )

    async def keep_documents(
        self, exchange: str, documents: Mapping[str, Mapping[str, Any]], at: datetime
    ) -> None:
        """Note that an exchange still says the same of a symbol, or what it says now."""
        known = {each.symbol: each for each in await self.newest_documents(documents, exchange)}
        new = []
        for symbol, document in documents.items():
            last = known.get(symbol)
            if last is not None and last.exchange_info == document:
                last.called_at = at
            else:
                new.append(
                    {
                        "exchange": exchange,
                        "symbol": symbol,
                        "exchange_info": document,
                        "first_seen_at": at,
                        "called_at": at,
                    }
                )
        if new:
            await self._session.execute(insert(ExchangeInfo), new)
        await self._session.flush()

    async def _keep(
        self,
        added: Insert,
        rows: Sequence[Mapping[str, Any]],
        key: list[str],
        corrected: Mapping[str, Any],
    ) -> None:
        if not rows:
            return
        kept = added.values(list(rows)).on_conflict_do_update(
            index_elements=key, set_={**corrected, "updated_at": func.now()}
        )
        await self._session.execute(kept.execution_options(synchronize_session=False))
