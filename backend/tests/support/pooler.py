"""Debian's PgBouncer in front of the tests' PostgreSQL, with the file we hand to operators."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, make_url

from backend.tests.support.deployment import ROOT
from backend.tests.support.ports import KeptPort

POOL_SIZE = 3
_SHIPPED = ROOT / "docker" / "pgbouncer" / "pgbouncer.ini"
_READY_SECONDS_MAX = 60.0
_POLL_SECONDS = 0.02
# The server's socket lies below a directory that is closed to the account PgBouncer runs as.
_BY_SOCKET = "/proc/self/cwd"
# PgBouncer refuses to run as root.
_INSTEAD_OF_ROOT = "nobody"


@contextmanager
def pooler(server_url: str, *, bounds: bool = True) -> Iterator[URL]:
    """Run a pooler in front of a server, for all its databases; yields its address.

    Three connections for everything, so that each transaction gets another's. Without `bounds` it
    forgets what the shipped file lets it set.
    """
    directory = Path(tempfile.mkdtemp(prefix="strongroom-pooler-"))
    server = make_url(server_url)
    try:
        with KeptPort() as kept:
            port = kept.number
            _configure(directory, server, port, bounds=bounds)
            with _running(directory, port, _place(server)):
                yield server.set(host="127.0.0.1", port=port, query={})
    finally:
        shutil.rmtree(directory)


def _configure(directory: Path, server: URL, port: int, *, bounds: bool) -> None:
    told = ConfigParser(interpolation=None, comment_prefixes=(";",))
    told.read(_SHIPPED)
    place = _BY_SOCKET if _place(server).is_absolute() else server.host
    shipped = told["databases"]["*"].partition("connect_query=")
    ours = f"host={place} port={server.query.get('port', server.port or 5432)}"
    told["databases"]["*"] = f"{ours} {shipped[1]}{shipped[2]}" if bounds else ours
    users = directory / "userlist.txt"
    users.write_text(f'"{server.username}" "{server.password}"\n')
    told["pgbouncer"].update(
        {
            "listen_port": str(port),
            "auth_file": str(users),
            "unix_socket_dir": "",
            "default_pool_size": str(POOL_SIZE),
        }
    )
    with (directory / "pgbouncer.ini").open("w") as file:
        told.write(file)


def _place(server: URL) -> Path:
    return Path(str(server.query.get("host", ".")))


@contextmanager
def _running(directory: Path, port: int, place: Path) -> Iterator[None]:
    path = f"{os.environ['PATH']}:/usr/sbin"
    program = shutil.which("pgbouncer", path=path)
    # Asked for by its own target, so it is missing loudly.
    assert program is not None, "pgbouncer is not installed: apt-get install pgbouncer"
    account = pwd.getpwnam(_INSTEAD_OF_ROOT) if os.geteuid() == 0 else None
    if account is not None:
        for file in (directory, *directory.iterdir()):
            os.chown(file, account.pw_uid, account.pw_gid)
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, str(directory / "pgbouncer.ini")],
            cwd=place,
            stdout=log,
            stderr=log,
            **({} if account is None else {"user": account.pw_uid, "group": account.pw_gid}),
        )
    try:
        _await(port, process)
        yield
    finally:
        process.kill()
        process.wait()


def _await(port: int, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _READY_SECONDS_MAX
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(_POLL_SECONDS)
        else:
            return
    raise RuntimeError("pgbouncer does not answer")
