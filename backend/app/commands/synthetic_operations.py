"""What `strongroom candles synthesize` does."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.candle_interval import CandleInterval
from backend.app.candle_numbers import SYNTHETIC
from backend.app.commands.candle_operations import command_market
from backend.app.commands.progress import passing_progress
from backend.app.errors import CandleRangeRefused, ConfigurationError
from backend.app.money import plain
from backend.app.repositories.candle_repository import Series
from backend.app.sandbox.synthetic import SyntheticCandle, joined, synthetic_minutes

_SYMBOL: Final = re.compile(r"[A-Z0-9]{1,20}/[A-Z0-9]{1,20}")
_DAY: Final = timedelta(days=1)
_COLUMNS: Final = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_asset_volume",
    "number_of_trades",
)


async def synthesize(
    symbol: str,
    seed: int,
    days: int,
    interval: CandleInterval,
    since: datetime,
    *,
    out: Path | None,
    store: bool,
) -> int:
    """Write made-up candles to a file, or into the database under `synthetic`."""
    if _SYMBOL.fullmatch(symbol) is None:
        raise ConfigurationError("A symbol is two assets in capitals: BTC/USDT.")
    start = CandleInterval.D1.opening(since.replace(tzinfo=UTC))
    if out is not None and not store:
        minutes = synthetic_minutes(symbol, seed, start, start + days * _DAY)
        told = _write(out, Series(SYNTHETIC, symbol, interval), joined(minutes, interval))
        print(f"{told} candles in {out}")  # noqa: T201 - the verb's result
    elif store and out is None:
        told = await _store(symbol, seed, start, days)
        print(f"{told} candles stored: --exchange {SYNTHETIC}")  # noqa: T201 - the same
    else:
        raise ConfigurationError("Say where they go: --out FILE.csv, --out FILE.json or --store.")
    return 0


async def _store(symbol: str, seed: int, start: datetime, days: int) -> int:
    stored = 0
    async with command_market() as (_, market):
        history = market.candle_history
        for interval in CandleInterval:
            since = history.kept_since(Series(SYNTHETIC, symbol, interval))
            if start < since:
                raise CandleRangeRefused(
                    f"Candles of {interval} are kept since {since:%Y-%m-%d} here: begin then or"
                    " later (--from)."
                )
        with passing_progress() as bar:
            for day in bar.track(range(days), description=f"{symbol} days"):
                begins = start + day * _DAY
                minutes = list(synthetic_minutes(symbol, seed, begins, begins + _DAY))
                for interval in CandleInterval:
                    series = Series(SYNTHETIC, symbol, interval)
                    candles = list(joined(minutes, interval))
                    kept = await history.keep(series, candles, _nothing_else, is_told=False)
                    stored += kept.written
    return stored


async def _nothing_else(_session: AsyncSession) -> None:
    """Write the candles and nothing beside them."""


def _write(out: Path, series: Series, candles: Iterable[SyntheticCandle]) -> int:
    forms = {".csv": _as_csv, ".json": _as_json}
    form = forms.get(out.suffix.lower())
    if form is None:
        raise ConfigurationError("A file of candles ends in .csv or .json.")
    told = 0
    try:
        with out.open("w", encoding="utf-8", newline="") as file:
            for line in form(series, map(_members, candles)):
                file.write(line)
                told += line.count("\n")
    except OSError as error:
        raise ConfigurationError(f"{out} cannot be written: {error.strerror}") from None
    # The heading of a CSV file, or the two lines around a document's data, are no candles.
    return told - (1 if form is _as_csv else 2)


def _members(candle: SyntheticCandle) -> dict[str, Any]:
    prices = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    numbers = (*map(plain, prices), plain(candle.quote_volume), candle.trades)
    opens = f"{candle.open_time:%Y-%m-%dT%H:%M:%SZ}"
    return dict(zip(_COLUMNS, (opens, *numbers), strict=True))


def _as_csv(_series: Series, candles: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield ",".join(_COLUMNS) + "\n"
    for candle in candles:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(candle.values())
        yield line.getvalue()


def _as_json(series: Series, candles: Iterable[dict[str, Any]]) -> Iterator[str]:
    metadata = {
        "exchange": series.exchange,
        "symbol": series.symbol,
        "interval": series.interval.value,
        "asset_class": "spot",
    }
    yield f'{{"metadata": {json.dumps(metadata)}, "data": [\n'
    separator = ""
    for candle in candles:
        yield f"{separator}{json.dumps(candle)}\n"
        separator = ","
    yield "]}\n"
