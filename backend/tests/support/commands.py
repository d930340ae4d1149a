"""`strongroom` as a process: its exit code and what it says, without its imports every time.

What has imported them is started by the first test of a run that needs it, for all its workers.
Tests of how the command starts, runs and stops start it for themselves.
"""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

PLACE_VARIABLE = "STRONGROOM_TEST_COMMANDS"
_ROOT = Path(__file__).parents[3]
_SERVER = "backend.tests.support.command_server"
_SOCKET = "commands.sock"
_SECONDS_MAX = 240
_PLACE = pytest.StashKey[Path]()


def strongroom(
    *words: str, cwd: Path, env: Mapping[str, str], seconds_max: int = _SECONDS_MAX
) -> "subprocess.CompletedProcess[str]":
    """Run the command with these words in this environment, and wait for its end."""
    with _server() as server, tempfile.TemporaryDirectory() as said:
        stdout, stderr = Path(said, "stdout"), Path(said, "stderr")
        asked = {
            "words": words,
            "cwd": str(cwd),
            "env": dict(env),
            "seconds_max": seconds_max,
            "stdout": str(stdout),
            "stderr": str(stderr),
        }
        server.sendall(f"{json.dumps(asked)}\n".encode())
        with server.makefile("r") as answer:
            code = int(answer.readline())
        return subprocess.CompletedProcess(words, code, stdout.read_text(), stderr.read_text())


def choose_place(config: pytest.Config) -> None:
    """Choose where the processes of a run find the server. Call it from `pytest_configure`."""
    # A worker has inherited it.
    if PLACE_VARIABLE in os.environ or config.option.collectonly:
        return
    place = Path(tempfile.mkdtemp(prefix="strongroom-commands-"))
    (place / "owner").write_text(str(os.getpid()))
    config.stash[_PLACE] = place
    os.environ[PLACE_VARIABLE] = str(place)


def stop_server(config: pytest.Config) -> None:
    """Let go of what runs the commands. Call it from `pytest_unconfigure`."""
    place = config.stash.get(_PLACE, None)
    if place is None:
        return
    del os.environ[PLACE_VARIABLE]
    if (place / _SOCKET).exists():
        os.kill(int((place / "pid").read_text()), signal.SIGKILL)
    shutil.rmtree(place)


def _server() -> socket.socket:
    place = Path(os.environ[PLACE_VARIABLE])
    with (place / "starting").open("w") as lock:
        # Whoever comes first starts it for all.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / _SOCKET).exists():
            _start(place)
    server = socket.socket(socket.AF_UNIX)
    server.connect(str(place / _SOCKET))
    return server


def _start(place: Path) -> None:
    owner = (place / "owner").read_text()
    subprocess.run(
        [sys.executable, "-c", f"from {_SERVER} import serve; serve({str(place)!r}, {owner})"],
        cwd=_ROOT,
        # As bare as the commands' own, so that what is decided at a start is decided alike.
        env={"PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        check=True,
    )
