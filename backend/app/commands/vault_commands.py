"""`strongroom vault`: credentials from one installation to another, never in clear."""

from pathlib import Path
from typing import Annotated

import typer

from backend.app.commands.running import run

app = typer.Typer(
    help="Move credentials to another installation, encrypted for it alone.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.command()
def recipient() -> None:
    """Print whom others export to, so that only this installation can open it."""
    from backend.app.commands.vault_operations import show_recipient

    run(show_recipient())


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="What to write; it must not exist yet.")],
    to: Annotated[str, typer.Option(help="Who opens it: srr1_..., by `vault recipient` there.")],
    user: Annotated[
        list[str] | None, typer.Option(help="Whose credentials; everybody's by default.")
    ] = None,
    exchange: Annotated[
        list[str] | None, typer.Option(help="Of which exchange; of all by default.")
    ] = None,
) -> None:
    """Write credentials into a file that one other installation opens. Each use is recorded."""
    from backend.app.commands.vault_operations import export as act

    run(act(file, to, user or [], exchange or []))


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="What the other installation wrote.")],
    user_map: Annotated[
        list[str] | None, typer.Option(help="Who is called otherwise here: there=here.")
    ] = None,
    sha256: Annotated[
        str | None, typer.Option(help="What the export said the file's SHA-256 is.")
    ] = None,
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Say what would happen, and write nothing.")
    ] = False,
) -> None:
    """Store what a file holds, sealed anew. What is here already stays as it is."""
    from backend.app.commands.vault_operations import import_ as act

    run(act(file, user_map or [], sha256, check=check))
