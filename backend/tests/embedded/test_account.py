"""Who the server runs as."""

import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.app.embedded.account import choose_account
from backend.app.embedded.errors import HomeUnusable, NoServerAccount
from backend.tests.support.embedded import (
    account_of,
    as_account,
    ask,
    python_path,
    said,
    supervisor,
)

pytestmark = pytest.mark.slow

_ROOT = 0
_UNNAMED = 3_999_999_999
_PYTHONS = (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3")


def _ordinary_run(home: Path) -> tuple[str, dict[str, Any]]:
    """Find an interpreter that the server's account may run and that gets as far as our package.

    An ordinary user finds its own. Root may keep every interpreter to itself; then there is no
    ordinary user who could run us, and root does.
    """
    account = as_account(account_of(home))
    for python in _PYTHONS:
        try:
            subprocess.run(
                [python, "-c", "import backend.app.embedded"],
                env={"PYTHONPATH": python_path()},
                capture_output=True,
                check=True,
                **account,
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return python, account
    return sys.executable, {}


async def test_an_ordinary_user_runs_it_alone(place: Path) -> None:
    python, account = _ordinary_run(place)
    os.chown(place, account.get("user", os.geteuid()), account.get("group", os.getegid()))

    with supervisor(place / "home", python, **account) as child:
        assert await ask(said(child), "SELECT 1") == 1


def test_root_becomes_nobody(place: Path) -> None:
    account = choose_account(_ROOT, Path("/"), place / "missing")

    assert account.dropped
    assert account.uid == pwd.getpwnam("nobody").pw_uid


def test_root_becomes_the_owner_of_the_data(home: Path) -> None:
    owner = (home / "cluster").stat().st_uid

    assert choose_account(_ROOT, Path("/"), home / "cluster").uid == owner != _ROOT


def test_data_of_another_user_are_refused(place: Path) -> None:
    with pytest.raises(HomeUnusable, match="chown"):
        choose_account(_UNNAMED, place, Path("/"))


def test_a_user_without_a_name_is_told_what_postgresql_needs(place: Path) -> None:
    with pytest.raises(NoServerAccount, match="/etc/passwd"):
        choose_account(_UNNAMED, place, place / "missing")
