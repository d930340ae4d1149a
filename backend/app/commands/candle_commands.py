"""`strongroom candles` and `strongroom chart`: histories fetched, made up, and drawn."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from backend.app.candle_interval import CandleInterval
from backend.app.commands.running import run

app = typer.Typer(
    help="Candles: fetch their past, make some up.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

_TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]
_DAYS_MAX = 3_660

Symbol = Annotated[str, typer.Argument(help="Such as BTC/USDT.")]
Since = typer.Option("--from", formats=_TIMES, help="In UTC.")
Until = typer.Option("--to", formats=_TIMES, help="In UTC, not included.")


@app.command()
def backfill(
    symbol: Symbol,
    since: Annotated[datetime, Since],
    interval: Annotated[CandleInterval, typer.Option(help="How long each lasts.")],
    until: Annotated[datetime | None, Until] = None,
    exchange: Annotated[str, typer.Option(help="One of the eight.")] = "binance",
) -> None:
    """Fetch closed candles from an exchange. Broken off, the same words go on where it was."""
    from backend.app.commands.candle_operations import backfill as act

    run(act(symbol, interval, since, until, exchange))


@app.command()
def synthesize(
    symbol: Symbol,
    *,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same candles.")],
    days: Annotated[int, typer.Option(min=1, max=_DAYS_MAX)],
    interval: Annotated[
        CandleInterval, typer.Option(help="Of a file; all six are stored.")
    ] = CandleInterval.M1,
    since: Annotated[datetime, Since] = datetime(2026, 1, 1),  # noqa: DTZ001 - typer reads no zone
    out: Annotated[Path | None, typer.Option(help="A file: .csv or .json.")] = None,
    store: Annotated[
        bool, typer.Option("--store", help="Into the database, as the exchange `synthetic`.")
    ] = False,
) -> None:
    """Make candles up: seeded, plausible, of no market."""
    from backend.app.commands.synthetic_operations import synthesize as act

    run(act(symbol, seed, days, interval, since, out=out, store=store))


def chart(
    symbol: Symbol,
    *,
    interval: Annotated[
        CandleInterval, typer.Option(help="How long each lasts.")
    ] = CandleInterval.H1,
    since: Annotated[datetime | None, Since] = None,
    until: Annotated[datetime | None, Until] = None,
    exchange: Annotated[
        str | None, typer.Option(help="One of the eight, strongroom or synthetic.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("chart.html"),
) -> None:
    """Draw candles: one HTML file that needs no network. Without --from the latest 500."""
    from backend.app.commands.candle_operations import chart as act

    asked = {"symbol": symbol, "interval": interval, "exchange": exchange}
    run(act({**asked, "from": since, "to": until}, out))
