"""`strongroom venue`: seed the market, prove it against its journal, and measure it."""

from pathlib import Path
from typing import Annotated

import typer

from backend.app.commands.running import run

app = typer.Typer(
    help="The venue: seed it, prove it, measure it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

_ORDERS_MAX = 10_000_000
_CLIENTS_MAX = 10_000
_LEVELS_MAX = 10
_BPS_MAX = 1_000
_EVERY_SECONDS_MAX = 3_600


@app.command()
def replay(
    *,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare every row and balance; 1 if one differs.")
    ] = False,
) -> None:
    """Carry the journal out anew, in memory, and print what comes out."""
    from backend.app.commands.venue_operations import replay as act

    run(act(verify=verify))


@app.command()
def seed(
    *,
    opens: Annotated[
        bool, typer.Option("--open", help="Open those of them again that were halted.")
    ] = False,
) -> None:
    """Put the four cards and the eight pairs back where they are missing; run it as often as
    you like. An instrument that is there is never changed: 1 if one is not as it belongs.
    """
    from backend.app.commands.venue_operations import seed as act

    run(act(opens=opens))


@app.command()
def generate(
    *,
    orders: Annotated[int, typer.Option(min=1, max=_ORDERS_MAX)] = 1_000_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same file.")] = 7,
    out: Annotated[Path, typer.Option(help="The file to write.")],
) -> None:
    """Write a file of card orders: 10,000 traders, four cards, any price from 1.00 to 10.00."""
    from backend.app.commands.venue_operations import generate as act

    run(act(orders, seed, out))


@app.command()
def bench(
    file: Annotated[Path, typer.Argument(help="As `venue generate` writes it.")],
    clients: Annotated[
        int, typer.Option(min=1, max=_CLIENTS_MAX, help="How many wait for an answer at once.")
    ] = 1_000,
    processes: Annotated[
        int, typer.Option(min=1, max=2, help="With two, each has an engine for two cards.")
    ] = 1,
) -> None:
    """Send a file of orders through an engine on a PostgreSQL of its own, gone afterwards."""
    from backend.app.commands.venue_bench import bench as act

    run(act(file, clients, processes))


@app.command("make-market")
def make_market(
    *,
    url: Annotated[str, typer.Option(help="Where the API listens.")] = "http://127.0.0.1:8000",
    symbol: Annotated[
        list[str] | None, typer.Option(help="BTC/USDT; as often as you like. None: all there are.")
    ] = None,
    levels: Annotated[int, typer.Option(min=1, max=_LEVELS_MAX, help="Of each side.")] = 5,
    spread_bps: Annotated[
        int, typer.Option(min=1, max=_BPS_MAX, help="Between best bid and ask, in 0.01 %.")
    ] = 20,
    threshold_bps: Annotated[
        int, typer.Option(min=1, max=_BPS_MAX, help="So far the price moves before it quotes anew.")
    ] = 10,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same sizes.")] = 7,
    every_seconds: Annotated[
        float, typer.Option(min=1, max=_EVERY_SECONDS_MAX, help="How often it looks.")
    ] = 5,
    key_file: Annotated[
        Path | None,
        typer.Option(
            help="Holds a platform key that may trade; or set STRONGROOM_API_KEY."
            " Without one a user is made for this run."
        ),
    ] = None,
) -> None:
    """Keep a book of test funds around the price on a running house, until Ctrl-C."""
    import os

    from backend.app.commands.market_maker import make_market as act
    from backend.app.commands.market_maker import read_key
    from backend.app.commands.market_quotes import Plan

    async def quote() -> int:
        key = read_key(key_file, os.environ)
        plan = Plan(
            symbols=tuple(symbol or ()),
            levels=levels,
            spread_bps=spread_bps,
            threshold_bps=threshold_bps,
            seed=seed,
            every_seconds=every_seconds,
        )
        return await act(url, key, plan)

    run(quote())
