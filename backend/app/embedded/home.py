"""What lies where, who holds it, and the one place that says so.

<home>/                 0700, ours
    supervisor.lock     held by the living supervisor; holds its pid
    server.lock         held by every process of the server, which inherit it
    password            0600, of the role the service connects as
    start.log           what the last start said before the server's own log began
    elsewhere           link to a short private directory, only while one is needed
    cluster/            0700, the server's account
        data/           PostgreSQL's data directory
        run/            the Unix socket
    cluster.new/        a cluster being made; never started, thrown away when found
"""

import errno
import fcntl
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from backend.app.embedded.errors import DiskFull, EmbeddedPostgresError, HomeInUse, HomeUnusable

_PASSWORD_BYTES = 32
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Home:
    """The directory of one embedded database."""

    root: Path

    @property
    def cluster(self) -> Path:
        """What the server owns."""
        return self.root / "cluster"

    @property
    def new_cluster(self) -> Path:
        """Where a cluster is made before it counts."""
        return self.root / "cluster.new"

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.cluster / "data"

    @property
    def password_file(self) -> Path:
        """The password of the service's role."""
        return self.root / "password"

    @property
    def start_log(self) -> Path:
        """What a start said."""
        return self.root / "start.log"

    @property
    def server_lock(self) -> Path:
        """The file every process of the server holds locked."""
        return self.root / "server.lock"

    @property
    def elsewhere(self) -> Path:
        """The link to the private directory outside, while there is one."""
        return self.root / "elsewhere"

    def prepare(self) -> None:
        """Create the directory, or see that it can be used.

        Raises:
            HomeUnusable: it cannot be made, or we may not write in it.
            DiskFull: there is no space left.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(open_private(self.root / "supervisor.lock"))
        except OSError as error:
            raise refusal_for(error, self.root) from None

    def hold(self) -> int:
        """Take the directory for ourselves; it is free again when the descriptor is closed.

        Raises:
            HomeInUse: another supervisor holds it.
        """
        descriptor = open_private(self.root / "supervisor.lock")
        if not try_lock(descriptor):
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise HomeInUse(
                f"{self.root} is in use by process {holder}."
                " Stop that one first, or give this one a directory of its own."
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return descriptor

    def password(self) -> str:
        """Read the service's password, or make it once."""
        if not self.password_file.exists():
            self.keep_password(new_password())
        return self.password_file.read_text("ascii").strip()

    def keep_password(self, password: str) -> None:
        """Write the service's password, whole or not at all."""
        draft = self.root / "password.new"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(descriptor, f"{password}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        draft.rename(self.password_file)
        sync_directory(self.root)


def new_password() -> str:
    """Draw a password."""
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def open_private(path: Path) -> int:
    """Open a file only we may read, making it where it is missing."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def open_log(path: Path) -> BinaryIO:
    """Open an empty log only we may read."""
    descriptor = open_private(path)
    os.ftruncate(descriptor, 0)
    return os.fdopen(descriptor, "wb")


def try_lock(descriptor: int) -> bool:
    """Lock an open file, unless another open file holds the lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def sync_directory(path: Path) -> None:
    """Make a rename in `path` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refusal_for(error: OSError, path: Path) -> EmbeddedPostgresError:
    """Translate what the file system said about `path`."""
    if error.errno in _NO_SPACE:
        return disk_full(path)
    reason = os.strerror(error.errno or 0)
    return HomeUnusable(
        f"{path} cannot be used: {reason}."
        f" Give user {os.geteuid()} a directory it owns and may write in."
    )


def disk_full(path: Path) -> DiskFull:
    """Say that the disk under `path` is full."""
    return DiskFull(f"There is no space left under {path}. Free some, then start again.")
