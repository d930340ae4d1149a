"""Running one verb to its end."""

from collections.abc import Coroutine
from typing import Any

import typer


def run(work: Coroutine[Any, Any, int]) -> None:
    """Run one verb; what the user can mend is told in a line, without a traceback."""
    import asyncio

    from uvicorn.loops.auto import auto_loop_factory

    from backend.app.errors import ConfigurationError, StrongroomError

    try:
        # uvloop where there is one: a quarter less CPU per request.
        with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
            raise typer.Exit(runner.run(work))
    except ConfigurationError as error:
        typer.echo(f"strongroom: {error}", err=True)
        raise typer.Exit(2) from None
    except StrongroomError as refusal:
        typer.echo(f"strongroom: {refusal.detail}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
