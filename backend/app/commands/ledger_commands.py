"""`strongroom ledger`: prove the money."""

import typer

from backend.app.commands.running import run

app = typer.Typer(
    help="The ledger: prove it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _group() -> None:
    """Keep `prove` a word of its own, also while it is the only one."""


@app.command()
def prove() -> None:
    """Recompute every balance and name every difference. 0 if there is none, else 1."""
    from backend.app.commands.ledger_operations import prove as act

    run(act())
