"""What a person sees when the processes serve."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console

from backend.app.main import AppRole
from backend.app.serving import Served

_ABOUT: Final = {
    AppRole.API: "the vault; try it at /docs",
    AppRole.PRICES: "prices with their age; try them at /docs",
    AppRole.SETTLEMENT: "pays withdrawals out; answers the api alone",
    AppRole.ENGINE: "leads the venue, or stands by; asked through Redis",
    AppRole.SANDBOX: "eight exchanges on this machine; their keys at /control/accounts",
}


def greet(served: Sequence[Served], new_password: str | None) -> None:
    """Say what listens where, and at the very first start the administrator's password."""
    console = Console(highlight=False, soft_wrap=True)
    console.print("\n[bold]Strongroom is ready.[/bold]")
    for one in served:
        console.print(f"  {one.name:<8} {one.url}   {_ABOUT[AppRole(one.name)]}")
    if new_password is not None:
        console.print("\nFirst start. The administrator's password, shown this once:")
        console.print(f"  [bold]admin[/bold]  [bold]{new_password}[/bold]", markup=True)
        console.print("  Lost it? strongroom reset-password admin")
    if any(one.name == AppRole.SANDBOX for one in served) and len(served) > 1:
        console.print("\nSee eight keys verified, in another terminal: [bold]make rehearse[/bold]")
    console.print("Stop with Ctrl-C.\n")
