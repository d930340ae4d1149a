"""`strongroom venue`: prove the market against its journal, and measure it."""

from pathlib import Path
from typing import Annotated

import typer

from backend.app.commands.running import run

app = typer.Typer(
    help="The venue: prove it, measure it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

_ORDERS_MAX = 10_000_000
_CLIENTS_MAX = 10_000


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
