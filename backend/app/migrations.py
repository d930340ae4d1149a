"""Bring a database to the newest form, from a command or from a test."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

_ROOT: Final = Path(__file__).parents[2]


def migrate(url: str, revision: str = "head") -> None:
    """Run the migrations up to `revision`. Blocks: call it in a thread from async code.

    Safe to call from any number of processes at once.
    """
    command.upgrade(_config(url), revision)


def migrate_back(url: str, revision: str) -> None:
    """Undo the migrations after `revision`. A migration refuses to drop what still holds data."""
    command.downgrade(_config(url), revision)


def newest_revision() -> str:
    """Return the name of the newest form this code knows."""
    return ScriptDirectory.from_config(_config("")).get_current_head() or ""


def _config(url: str) -> Config:
    config = Config(_ROOT / "alembic.ini")
    # By attribute: an option would be interpolated, and a password may hold a percent sign.
    config.attributes["url"] = url
    return config
