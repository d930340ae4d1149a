"""A short private directory outside the home, for what cannot live inside it.

Two things may need it: the Unix socket, whose whole path has 107 bytes on Linux and 103 on macOS
and, in a URL, no comma and no colon; and, as root, the programs, when the server's account cannot
walk to where they are installed. It is never reused: it goes when the server is stopped, or at the
next start.
"""

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from backend.app.embedded.account import Account
from backend.app.embedded.errors import SocketPathUnusable
from backend.app.embedded.home import Home

_SOCKET_NAME = ".s.PGSQL.5432.lock"
SOCKET_PATH_LENGTH_MAX_BYTES = 107 if sys.platform == "linux" else 103
_SEPARATORS_IN_A_URL = frozenset(",:")
_PREFIX = "strongroom-"


@dataclass(frozen=True)
class SocketDirectory:
    """Where clients find the socket, and the name the server knows that place by."""

    path: Path
    server_name: str

    def clear(self, account: Account) -> None:
        """Leave an empty directory: the socket's lock file would name a pid, maybe recycled."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(mode=0o700)
        account.own(self.path)


class Elsewhere:
    """At most one directory outside the home, made when first asked for."""

    def __init__(self, home: Home, account: Account) -> None:
        self._home = home
        self._account = account
        self._directory: Path | None = None

    def directory(self) -> Path:
        """Return the directory, making it the first time."""
        if self._directory is None:
            made = Path(tempfile.mkdtemp(prefix=_PREFIX))
            # Written down before it is filled, so that a killed run leaves nothing unknown.
            self._home.elsewhere.symlink_to(made)
            if self._account.dropped:
                made.chmod(0o711)
            self._directory = made
        return self._directory

    def socket_directory(self) -> SocketDirectory:
        """Choose the directory of the socket.

        Raises:
            SocketPathUnusable: even outside the home.
        """
        inside = self._home.cluster / "run"
        if _can_hold_socket(inside):
            # Seen from its working directory, which it can reach whatever lies above.
            return SocketDirectory(inside, "../run")
        outside = self.directory() / "run"
        if _can_hold_socket(outside):
            return SocketDirectory(outside, str(outside))
        raise SocketPathUnusable(
            f"{outside} cannot hold a Unix socket: its path is too long, or has a comma or a colon."
            " Set TMPDIR to a plain, short directory."
        )

    def remove(self) -> None:
        """Remove what this run, or one that was killed, has put outside."""
        link = self._home.elsewhere
        if not link.is_symlink():
            return
        target = link.readlink()
        # A cleaner may have removed it, and somebody else taken the name.
        if (
            target.name.startswith(_PREFIX)
            and target.is_dir()
            and not target.is_symlink()
            and target.stat().st_uid == os.geteuid()
        ):
            shutil.rmtree(target, ignore_errors=True)
        link.unlink()
        self._directory = None


def _can_hold_socket(directory: Path) -> bool:
    is_short = len(os.fsencode(directory / _SOCKET_NAME)) <= SOCKET_PATH_LENGTH_MAX_BYTES
    return is_short and _SEPARATORS_IN_A_URL.isdisjoint(str(directory))
