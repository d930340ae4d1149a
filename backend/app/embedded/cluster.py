"""Making a cluster: in a sibling directory first, so that a half-made one is never started."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from backend.app.embedded.account import Account
from backend.app.embedded.binaries import MAJOR_VERSION, Binaries
from backend.app.embedded.errors import (
    DataOfAnotherVersion,
    EmbeddedPostgresError,
    ServerDidNotStart,
)
from backend.app.embedded.home import Home, disk_full, new_password, open_log, sync_directory

SERVICE_ROLE = "strongroom"
SERVICE_DATABASE = "strongroom"
_ADMINISTRATOR = "postgres"
# PostgreSQL cannot go on without room for another piece of its write-ahead log.
_LOG_SEGMENT_BYTES = 16 << 20
_PROGRAM_SECONDS_MAX = 120
# Nothing of ours reaches the server's environment. The exception is what an interpreter built
# outside the system's library path needs to start at all.
_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}
_ENVIRONMENT_KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")

# What could carry a value of ours into the server's log stays out of it. A value in a statement is
# the sealed form only, but a log is copied to places a database is not.
PRIVATE_LOG = (
    "log_parameter_max_length=0",
    "log_parameter_max_length_on_error=0",
    "log_min_error_statement=panic",
    "log_error_verbosity=terse",
)


def server_environment() -> dict[str, str]:
    """Compose the environment of every program we start."""
    kept = {name: os.environ[name] for name in _ENVIRONMENT_KEPT if name in os.environ}
    return _ENVIRONMENT | kept


def data_argument(account: Account, data: Path) -> str:
    """Name the data directory so that the server's account can reach it.

    A dropped account cannot walk through our 0700 home. Each process of the server stays in the
    data directory it was started in, so there this name always means that directory.
    """
    return "/proc/self/cwd" if account.dropped else str(data)


def ensure_cluster(home: Home, binaries: Binaries, account: Account, lock: int) -> None:
    """Make the cluster, unless it exists; see that the password on file is the right one.

    Raises:
        DataOfAnotherVersion: it exists, and our programs cannot read it.
        DiskFull: there is no space left.
        ServerDidNotStart: PostgreSQL could not make it.
    """
    maker = _Maker(home, binaries, account, lock)
    if not home.cluster.exists():
        maker.make()
        return
    _refuse_other_version(home)
    if not home.password_file.exists():
        # Who holds the directory holds the data, so a lost password locks nobody out.
        maker.renew_password()


def _refuse_other_version(home: Home) -> None:
    version = (home.data / "PG_VERSION").read_text("ascii").strip()
    if version != MAJOR_VERSION:
        raise DataOfAnotherVersion(
            f"{home.data} was written by PostgreSQL {version}, ours is {MAJOR_VERSION}."
            " Dump it with the release that wrote it, move the directory away, start, and restore."
        )


@dataclass(frozen=True)
class _Maker:
    """Runs PostgreSQL's programs on a directory that no server is running on."""

    home: Home
    binaries: Binaries
    account: Account
    lock: int

    def make(self) -> None:
        draft = self.home.new_cluster
        if draft.exists():
            shutil.rmtree(draft)
        for directory in (draft, draft / "data", draft / "run"):
            directory.mkdir(mode=0o700)
            self.account.own(directory)
        self._initialise(draft)
        self._execute(
            draft / "data",
            f"CREATE ROLE {SERVICE_ROLE} LOGIN CREATEDB PASSWORD '{self.home.password()}'",
            f"CREATE DATABASE {SERVICE_DATABASE} OWNER {SERVICE_ROLE}",
        )
        draft.rename(self.home.cluster)
        sync_directory(self.home.root)

    def renew_password(self) -> None:
        password = new_password()
        self._execute(self.home.data, f"ALTER ROLE {SERVICE_ROLE} PASSWORD '{password}'")
        self.home.keep_password(password)

    def _initialise(self, draft: Path) -> None:
        # Nobody logs in as the administrator: its password is thrown away. The service's role can
        # neither read nor write the server's files; a human uses single-user mode.
        password_file = draft / "administrator"
        password_file.touch(mode=0o600)
        password_file.write_text(f"{new_password()}\n", "ascii")
        self.account.own(password_file)
        data = draft / "data"
        self._run(
            data,
            "initdb",
            f"--pgdata={data_argument(self.account, data)}",
            f"--username={_ADMINISTRATOR}",
            # Relative for the reason data_argument gives.
            "--pwfile=../administrator",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--data-checksums",
        )
        password_file.unlink()

    def _execute(self, data: Path, *statements: str) -> None:
        settings = [part for one in (*PRIVATE_LOG, "exit_on_error=on") for part in ("-c", one)]
        name = data_argument(self.account, data)
        arguments = ("--single", "-D", name, *settings, _ADMINISTRATOR)
        # Single-user mode reads a statement a line.
        self._run(data, "postgres", *arguments, text="".join(f"{one}\n" for one in statements))

    def _run(self, data: Path, program: str, *arguments: str, text: str = "") -> None:
        with open_log(self.home.start_log) as log:
            try:
                subprocess.run(  # noqa: S603 - our own programs, no shell
                    self.binaries.command(self.account, program, *arguments),
                    input=text.encode(),
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=data,
                    env=server_environment(),
                    pass_fds=(self.lock,),
                    start_new_session=True,
                    timeout=_PROGRAM_SECONDS_MAX,
                    check=True,
                )
            except subprocess.SubprocessError:
                raise start_failure(self.home, f"PostgreSQL's {program} failed") from None


def start_failure(home: Home, what: str) -> EmbeddedPostgresError:
    """Say why a start failed, as far as its log tells."""
    said = home.start_log.read_bytes()
    has_room = shutil.disk_usage(home.root).free > _LOG_SEGMENT_BYTES
    if not has_room or b"No space left on device" in said or b"Disk quota exceeded" in said:
        return disk_full(home.root)
    return ServerDidNotStart(
        f"{what}. Its own words are in {home.start_log} and, if it came further, {home.data}/log."
    )
