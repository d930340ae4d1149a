"""`strongroom audit`: prove the trail, and take it out."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from backend.app.commands.running import run

app = typer.Typer(
    help="The audit trail: prove it, take it out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


class ExportFormat(StrEnum):
    """How an exported trail is written."""

    JSONL = "jsonl"
    CSV = "csv"


_TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]


@app.command()
def verify(
    anchors: Annotated[
        Path | None, typer.Option(help="Anchors kept elsewhere: the anchor file, or a log.")
    ] = None,
    public_key: Annotated[
        str | None, typer.Option(help="Who must have signed the anchors; the vault's by default.")
    ] = None,
    *,
    deep: Annotated[
        bool, typer.Option("--deep", help="Compare every credential with its last record too.")
    ] = False,
) -> None:
    """Prove every event and anchor; name the first that is wrong. 0 if all is well, else 1."""
    from backend.app.commands.audit_operations import verify as act

    run(act(anchors, public_key, deep=deep))


@app.command()
def export(
    *,
    form: Annotated[ExportFormat, typer.Option("--format")] = ExportFormat.JSONL,
    since: Annotated[
        datetime | None, typer.Option("--from", formats=_TIMES, help="In UTC.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", formats=_TIMES, help="In UTC, not included.")
    ] = None,
    actor: Annotated[str | None, typer.Option(help="user:7, or a kind: anonymous.")] = None,
    act: Annotated[str | None, typer.Option(help="Such as credential.used.")] = None,
    thing: Annotated[
        str | None, typer.Option("--object", help="credential:42, or a kind: user.")
    ] = None,
) -> None:
    """Write events to standard output, oldest first. That they were taken out is recorded."""
    from backend.app.commands.audit_operations import export as act_

    asked = {"actor": actor, "act": act, "object": thing, "since": since, "until": until}
    run(act_(as_csv=form is ExportFormat.CSV, asked=asked))
