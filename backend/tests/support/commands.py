"""`strongroom` as a process: its exit code and what it says, without its imports every time.

Tests of how it starts, runs and stops start it for themselves.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

_ROOT = Path(__file__).parents[3]
_SERVER = "backend.tests.support.command_server"
_SECONDS_MAX = 120


def strongroom(
    *words: str, cwd: Path, env: Mapping[str, str], seconds_max: int = _SECONDS_MAX
) -> "subprocess.CompletedProcess[str]":
    """Run the command with these words in this environment, and wait for its end. One at a time."""
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    with TemporaryDirectory() as said:
        stdout, stderr = Path(said, "stdout"), Path(said, "stderr")
        asked = {
            "words": words,
            "cwd": str(cwd),
            "env": dict(env),
            "seconds_max": seconds_max,
            "stdout": str(stdout),
            "stderr": str(stderr),
        }
        server.stdin.write(f"{json.dumps(asked)}\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        return subprocess.CompletedProcess(words, code, stdout.read_text(), stderr.read_text())


def stop_server() -> None:
    """Let go of what runs the commands. Call it from `pytest_unconfigure`."""
    if _server.cache_info().currsize:
        _server().communicate(timeout=_SECONDS_MAX)
        _server.cache_clear()


@cache
def _server() -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", f"from {_SERVER} import serve; serve()"],
        cwd=_ROOT,
        # As bare as the commands' own, so that what is decided at a start is decided alike.
        env={"PATH": os.environ["PATH"]},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
