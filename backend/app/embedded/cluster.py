"""Making a cluster: in a sibling directory first, so that a half-made one is never started."""

import os
import secrets
import shutil
import subprocess
from pathlib import Path

from backend.app.embedded.account import Account
from backend.app.embedded.binaries import MAJOR_VERSION, Binaries
from backend.app.embedded.errors import (
    DataOfAnotherVersion,
    EmbeddedPostgresError,
    ServerDidNotStart,
)
from backend.app.embedded.home import Home, disk_full, refusal_for, sync_directory

SERVICE_ROLE = "strongroom"
SERVICE_DATABASE = "strongroom"
_ADMINISTRATOR = "postgres"
_INITIALISE_SECONDS_MAX = 120
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
    """Make the cluster, unless it exists.

    Raises:
        DataOfAnotherVersion: it exists, and our programs cannot read it.
        DiskFull: there is no space left.
        ServerDidNotStart: PostgreSQL could not make it.
    """
    if home.cluster.exists():
        _refuse_other_version(home)
        return
    try:
        _make_cluster(home, binaries, account, lock)
    except OSError as error:
        raise refusal_for(error, home.root) from None


def _refuse_other_version(home: Home) -> None:
    try:
        version = (home.data / "PG_VERSION").read_text("ascii").strip()
    except OSError as error:
        raise refusal_for(error, home.data) from None
    if version != MAJOR_VERSION:
        raise DataOfAnotherVersion(
            f"{home.data} was written by PostgreSQL {version}, ours is {MAJOR_VERSION}."
            " Dump it with the release that wrote it, move the directory away, start, and restore."
        )


def _make_cluster(home: Home, binaries: Binaries, account: Account, lock: int) -> None:
    draft = home.new_cluster
    if draft.exists():
        shutil.rmtree(draft)
    for directory in (draft, draft / "data", draft / "run"):
        directory.mkdir(mode=0o700)
        account.own(directory)
    _initialise(home, binaries, account, lock)
    draft.rename(home.cluster)
    sync_directory(home.root)


def _initialise(home: Home, binaries: Binaries, account: Account, lock: int) -> None:
    draft = home.new_cluster
    # The administrator's password is thrown away: nobody logs in as it, and the service's role
    # may not read the server's files. A human uses single-user mode.
    administrator_password = draft / "administrator"
    administrator_password.touch(mode=0o600)
    administrator_password.write_text(secrets.token_urlsafe(32) + "\n", "ascii")
    account.own(administrator_password)
    data = data_argument(account, draft / "data")
    password = "/proc/self/cwd/../administrator" if account.dropped else administrator_password
    _run(
        home,
        binaries.command(
            account,
            "initdb",
            f"--pgdata={data}",
            f"--username={_ADMINISTRATOR}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--data-checksums",
        ),
        lock,
    )
    administrator_password.unlink()
    _single_user(home, binaries, account, lock, data)


def _single_user(home: Home, binaries: Binaries, account: Account, lock: int, data: str) -> None:
    statements = (
        f"CREATE ROLE {SERVICE_ROLE} LOGIN CREATEDB PASSWORD '{home.password()}'\n"
        f"CREATE DATABASE {SERVICE_DATABASE} OWNER {SERVICE_ROLE}\n"
    )
    settings = [part for one in (*PRIVATE_LOG, "exit_on_error=on") for part in ("-c", one)]
    _run(
        home,
        binaries.command(account, "postgres", "--single", "-D", data, *settings, _ADMINISTRATOR),
        lock,
        statements,
    )


def _run(home: Home, command: list[str], lock: int, text: str = "") -> None:
    with home.start_log.open("wb") as log:
        done = subprocess.run(  # noqa: S603 - our own programs, no shell
            command,
            input=text.encode(),
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=home.new_cluster / "data",
            env=server_environment(),
            pass_fds=(lock,),
            start_new_session=True,
            timeout=_INITIALISE_SECONDS_MAX,
            check=False,
        )
    if done.returncode != 0:
        raise failure(home, "The database could not be made")


def failure(home: Home, what: str) -> EmbeddedPostgresError:
    """Say why a start failed, as far as its log tells."""
    said = home.start_log.read_bytes()
    if b"No space left on device" in said or b"Disk quota exceeded" in said:
        return disk_full(home.root)
    return ServerDidNotStart(f"{what}. PostgreSQL's own words are in {home.start_log}.")
