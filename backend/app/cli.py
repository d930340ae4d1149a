"""The command `strongroom`. Imports stay inside the verbs, so that help answers at once."""

from enum import StrEnum
from typing import Annotated

import typer

from backend.app.commands import (
    audit_commands,
    candle_commands,
    key_commands,
    ledger_commands,
    vault_commands,
    venue_commands,
)
from backend.app.commands.running import run as _run

app = typer.Typer(
    help="Strongroom: a vault for exchange keys.",
    no_args_is_help=True,
    # Tracebacks with local variables would print secrets.
    pretty_exceptions_enable=False,
    add_completion=False,
    # Help in colours would cost as much as everything else it takes.
    rich_markup_mode=None,
)
app.add_typer(key_commands.app, name="keys")
app.add_typer(audit_commands.app, name="audit")
app.add_typer(candle_commands.app, name="candles")
app.add_typer(vault_commands.app, name="vault")
app.add_typer(venue_commands.app, name="venue")
app.add_typer(ledger_commands.app, name="ledger")


class ServedRole(StrEnum):
    """The roles of `main.AppRole`, repeated because help must not wait for that import."""

    API = "api"
    SANDBOX = "sandbox"
    PRICES = "prices"
    SETTLEMENT = "settlement"
    ENGINE = "engine"


@app.command()
def up() -> None:
    """Run everything on this machine, with a PostgreSQL of its own unless DATABASE_URL is set."""
    from backend.app.greeting import greet
    from backend.app.launch import run_everything

    _run(run_everything(greet))


@app.command()
def serve(
    role: Annotated[ServedRole, typer.Option(help="What this process serves.")],
) -> None:
    """Run one role, on the database in DATABASE_URL."""
    from backend.app.greeting import greet
    from backend.app.launch import run_role
    from backend.app.main import AppRole

    _run(run_role(AppRole(role.value), greet))


@app.command()
def migrate() -> None:
    """Bring the database in DATABASE_URL to the newest form."""
    from backend.app.launch import migrate_configured

    _run(migrate_configured())


@app.command("reset-password")
def reset_password(
    username: Annotated[str, typer.Argument(help="Whose password to replace.")],
) -> None:
    """Give a user a new random password, print it once, and end the user's sessions."""
    from backend.app.launch import reset_password as reset

    _run(reset(username))


@app.command()
def doctor() -> None:
    """Check keys, clock, database, cache, permissions and disk; 1 if something is wrong."""
    from backend.app.commands.doctor import examine

    _run(examine())


@app.command()
def rehearse(
    url: Annotated[str, typer.Option(help="Where the API listens.")] = "http://127.0.0.1:8000",
    sandbox_url: Annotated[
        str, typer.Option(help="Where the sandbox listens.")
    ] = "http://127.0.0.1:8200",
) -> None:
    """Bind and verify a key on each of the eight exchanges, and show each seeded bad account."""
    from backend.app.rehearsal import rehearse as run

    _run(run(url, sandbox_url))


app.command()(candle_commands.chart)


def main() -> None:
    """Run the command line."""
    app()
