"""Runs `strongroom` for whoever connects, each time in a process of its own.

What a verb does takes a tenth of a second, and importing what it needs takes seconds. Here that is
done once: each command is a fork of this process, which has nothing but the imports behind it.
Started by `backend.tests.support.commands`.
"""

import gc
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Final

# Imported for the commands to come.
from backend.app import cli, greeting, launch, rehearsal  # noqa: F401
from backend.app.commands import audit_operations, doctor, key_operations  # noqa: F401

_SOCKET: Final = "commands.sock"
_UNREADY: Final = "not-yet.sock"
_WAITING_MAX: Final = 64
_LOOKS_UP_SECONDS: Final = 10


def serve(place: str, owner: int) -> None:
    """Return when it listens in a directory; it goes on in a child until the owner has ended."""
    directory = Path(place)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / _UNREADY))
        listener.listen(_WAITING_MAX)
        # Or each child looks through all that was imported as it ends, and copies it: 0.8 s.
        gc.freeze()
        server = os.fork()
        if not server:
            _detach()
            _answer_all(listener, owner)
            os._exit(0)
    (directory / "pid").write_text(str(server))
    (directory / _UNREADY).rename(directory / _SOCKET)


def _detach() -> None:
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    # Nobody waits for the children here.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def _answer_all(listener: socket.socket, owner: int) -> None:
    listener.settimeout(_LOOKS_UP_SECONDS)
    while _lives(owner):
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        if not os.fork():
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _answer(connection)
            os._exit(0)
        connection.close()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _answer(connection: socket.socket) -> None:
    """Run what a line asks for, and answer with its exit code."""
    connection.settimeout(None)
    with connection.makefile("r") as lines:
        asked = json.loads(lines.readline())
    child = os.fork()
    if not child:
        connection.close()
        _become(asked)
        sys.exit(cli.main())
    _, status = os.waitpid(child, 0)
    connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def _become(asked: dict[str, Any]) -> None:
    """Make this process what a shell would have started."""
    signal.alarm(asked["seconds_max"])
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    for descriptor, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, asked["stdout"], os.O_WRONLY | os.O_CREAT),
        (2, asked["stderr"], os.O_WRONLY | os.O_CREAT),
    ):
        os.dup2(os.open(path, flags, 0o600), descriptor)
    sys.argv = ["strongroom", *asked["words"]]
