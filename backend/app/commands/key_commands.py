"""`strongroom keys`: the life of root keys, while everything runs."""

from typing import Annotated

import typer

from backend.app.commands.running import run

app = typer.Typer(
    help="Root keys: make, rotate and retire them while everything runs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Kid = Annotated[str, typer.Argument(help="Name of a root key, as `keys list` shows it.")]


@app.command()
def generate() -> None:
    """Make a root key and print it, this once."""
    from backend.app.commands.key_operations import generate as act

    run(act())


@app.command("list")
def list_keys() -> None:
    """Show every root key, its state, and which running instances hold it."""
    from backend.app.commands.key_operations import show

    run(show())


@app.command()
def rotate(
    kid: Annotated[
        str | None, typer.Argument(help="Which key seals from now on; the first by default.")
    ] = None,
) -> None:
    """Seal with a new root key from now on, and move every data key under it."""
    from backend.app.commands.key_operations import rotate as act

    run(act(kid))


@app.command()
def rewrap() -> None:
    """Move every data key under the root key that seals; goes on where a killed run stopped."""
    from backend.app.commands.key_operations import rewrap as act

    run(act())


@app.command()
def verify(
    *, deep: Annotated[bool, typer.Option("--deep", help="Open every sealed field too.")] = False
) -> None:
    """Open every data key, and name what does not open."""
    from backend.app.commands.key_operations import verify as act

    run(act(deep=deep))


@app.command()
def destroy(
    kid: Kid,
    *,
    early: Annotated[
        bool, typer.Option("--early", help="Do not wait for 40 days after it was retired.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Give up a retired root key for good, with every backup that only it opens."""
    from backend.app.commands.key_operations import destroy as act

    run(act(kid, early=early, yes=yes))


@app.command()
def retire(kid: Kid) -> None:
    """Take a root key that nothing needs any more out of use."""
    from backend.app.commands.key_operations import retire as act

    run(act(kid))
