"""What `strongroom candles backfill` and `strongroom chart` do."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from rich.progress import ProgressColumn, Task, TaskID
from rich.text import Text

from backend.app.candle_interval import CandleInterval
from backend.app.clock import utc_now
from backend.app.commands.chart_html import chart_page
from backend.app.commands.key_operations import command_settings
from backend.app.commands.progress import passing_progress
from backend.app.config import home_directory
from backend.app.database import Database
from backend.app.errors import (
    CandleRangeRefused,
    ConfigurationError,
    ExchangeUnreachable,
    SymbolUnknown,
)
from backend.app.exchanges.market_data import MarketSourceUnavailable
from backend.app.exchanges.registry import resolve
from backend.app.launch import reachable_database
from backend.app.market_container import MarketContainer
from backend.app.repositories.candle_repository import Gap, Series
from backend.app.schemas.candle_schemas import PAGE_CANDLES_MAX, CandleQuery
from backend.app.services.cache_service import CacheService
from backend.app.services.live.silent_announcer import SilentAnnouncer
from backend.app.services.market.candle_backfill import (
    GAPS_TOLD_MAX,
    CandleBackfilling,
    Filled,
    Progress,
)
from backend.app.services.market.symbol_names import NameBook

CHART_CANDLES_DEFAULT: Final = 500
CHART_CANDLES_MAX: Final = 10_000


async def backfill(
    symbol: str, interval: CandleInterval, since: datetime, until: datetime | None, exchange: str
) -> int:
    """Fetch a history and say what is here then, and what the exchange does not have."""
    name = resolve(exchange)
    async with command_market() as (database, market):
        series = Series(name, await _listed(market, name, symbol), interval)
        backfilling = CandleBackfilling(
            database=database, source=market.source, history=market.candle_history, now=utc_now
        )
        with _bar(series) as tell:
            filled = await backfilling.fill(series, since.replace(tzinfo=UTC), _in_utc(until), tell)
    print(_verdict(series, filled))  # noqa: T201 - the verb's result
    return 0


async def chart(asked: dict[str, Any], out: Path) -> int:
    """Write the chart of what is in the database."""
    zoned = {
        name: _in_utc(value) if isinstance(value, datetime) else value
        for name, value in asked.items()
    }
    async with command_market() as (_, market):
        series, candles = await _charted(market, zoned)
    if not candles:
        raise CandleRangeRefused(
            f"There are no candles of {series.symbol} ({series.interval}, {series.exchange}) here."
            f" Fetch some: strongroom candles backfill {series.symbol} --interval {series.interval}"
            f" --from 2026-01-01 --exchange {series.exchange}"
        )
    _write(out, chart_page(series, candles, utc_now()))
    print(f"{len(candles)} candles in {out}")  # noqa: T201 - the verb's result
    return 0


@asynccontextmanager
async def command_market() -> AsyncIterator[tuple[Database, MarketContainer]]:
    """Yield the database and market data's services, for as long as a verb takes."""
    home = home_directory()
    settings = command_settings(home)
    async with reachable_database(settings, home) as url:
        database = Database(url, settings.database)
        market = MarketContainer(
            settings,
            database=database,
            cache=CacheService(None),
            announcer=SilentAnnouncer(),
            clock=utc_now,
        )
        try:
            yield database, market
        finally:
            await market.close()
            await database.close()


def _write(out: Path, page: str) -> None:
    try:
        out.write_text(page, "utf-8")
    except OSError as error:
        raise ConfigurationError(f"{out} cannot be written: {error.strerror}") from None


async def _listed(market: MarketContainer, exchange: str, name: str) -> str:
    try:
        book = NameBook(each.symbol for each in await market.source.markets(exchange))
    except MarketSourceUnavailable as silence:
        raise ExchangeUnreachable(
            f"{exchange} did not tell its markets ({silence.fault})."
        ) from None
    symbol = book.find(name)
    if symbol is None:
        raise SymbolUnknown(_not_found(name, exchange, book.near(name)))
    return symbol


def _not_found(name: str, exchange: str, near: Sequence[str]) -> str:
    hint = f" Near it: {', '.join(near)}." if near else ""
    return f"{exchange} has no symbol {name}.{hint}"


@contextmanager
def _bar(series: Series) -> Iterator[Callable[[Progress], None]]:
    length = series.interval.length
    with passing_progress(_Rate()) as bar:
        task: TaskID | None = None

        def tell(progress: Progress) -> None:
            nonlocal task
            total = (progress.end - progress.start) // length
            done = (progress.reached - progress.start) // length
            if task is None:
                task = bar.add_task(f"{series.symbol} {series.interval}", total=total)
                # What an earlier run fetched says nothing of how fast this one is.
                bar.reset(task, completed=done, total=total)
            bar.update(task, completed=done)

        yield tell


class _Rate(ProgressColumn):
    """How many candles a second."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.0f}/s")


def _verdict(series: Series, filled: Filled) -> str:
    resumed = f", going on at {filled.resumed_at:%Y-%m-%d %H:%M}" if filled.resumed_at else ""
    left_out = f" {filled.left_out} could not be kept." if filled.left_out else ""
    what = f"{series.symbol} ({series.interval}, {series.exchange})"
    until = f"up to {filled.end:%Y-%m-%d %H:%M} UTC"
    lines = [f"{filled.candles} candles of {what} fetched{resumed}, {until}.{left_out}"]
    if filled.gaps:
        more = " first" if len(filled.gaps) == GAPS_TOLD_MAX else ""
        lines.append(f"The exchange has no candles here ({len(filled.gaps)}{more} gaps):")
        lines += [f"  {_span(gap, series)}" for gap in filled.gaps]
    return "\n".join(lines)


def _span(gap: Gap, series: Series) -> str:
    missing = (gap.end - gap.start) // series.interval.length
    return f"{gap.start:%Y-%m-%d %H:%M} to {gap.end:%Y-%m-%d %H:%M} UTC, {missing} missing"


async def _charted(
    market: MarketContainer, asked: dict[str, Any]
) -> tuple[Series, list[dict[str, Any]]]:
    rows_max = CHART_CANDLES_MAX if asked["from"] else CHART_CANDLES_DEFAULT
    candles: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        limit = min(PAGE_CANDLES_MAX, rows_max - len(candles))
        try:
            query = CandleQuery(**asked, cursor=cursor, limit=limit)
            document = json.loads(await market.candles.document(query))
        except SymbolUnknown as refusal:
            raise SymbolUnknown(
                _not_found(asked["symbol"], "The store", refusal.facts["near"])
            ) from None
        except ValidationError:
            raise ConfigurationError(f"{asked['symbol']!r} is no symbol.") from None
        candles = document["data"] + candles
        cursor = document["next_cursor"]
        if cursor is None or (len(candles) == rows_max and not asked["from"]):
            break
        if len(candles) == rows_max:
            raise CandleRangeRefused(
                f"These are more than {CHART_CANDLES_MAX} candles: choose a longer --interval, or"
                " a later --from."
            )
    told = document["metadata"]
    return Series(told["exchange"], told["symbol"], CandleInterval(told["interval"])), candles


def _in_utc(at: datetime | None) -> datetime | None:
    return at and at.replace(tzinfo=UTC)
