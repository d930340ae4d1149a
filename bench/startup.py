"""What starting costs: help, the first and the second `up`, and the memory of an idle API.

python -m bench.startup
"""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from backend.app.migrations import migrate
from bench._support import (
    api_environment,
    bare_app,
    free_port,
    judged,
    postgres,
    running,
    strongroom,
)

_ROUNDS = 5
_HELP_RATIO_GOAL = 8.0
_READY_SECONDS_GOAL = 3.0
_MEMORY_RATIO_GOAL = 2.5


def _seconds(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _help() -> None:
    rounds = [
        (_seconds(strongroom("--help")), _seconds([sys.executable, "-c", "pass"]))
        for _ in range(_ROUNDS)
    ]
    ours, reference = (median(column) for column in zip(*rounds, strict=True))
    _line("strongroom --help", f"{ours * 1000:.0f} ms", f"{reference * 1000:.0f} ms",
          judged(ours / reference, _HELP_RATIO_GOAL, at_least=False))  # fmt: skip


@contextmanager
def _up(home: Path) -> Iterator[float]:
    """Run everything on a home directory; yields the seconds until it was ready."""
    port = free_port()
    environment = {
        "STRONGROOM_HOME": str(home),
        "API_PORT": str(port),
        "SANDBOX_PORT": str(free_port()),
        "PRICES_PORT": str(free_port()),
    }
    started = time.perf_counter()
    with running(strongroom("up"), port, "/readyz", environment):
        yield time.perf_counter() - started


def _ups() -> None:
    with tempfile.TemporaryDirectory(prefix="strongroom-bench-") as directory:
        home = Path(directory) / secrets.token_hex(4)
        with _up(home) as first:
            pass
        later = []
        for _ in range(3):
            with _up(home) as again:
                later.append(again)
    _line("first up to ready", f"{first:.2f} s", "-", "")
    second = median(later)
    met = "met" if second <= _READY_SECONDS_GOAL else "MISSED"
    _line("second up to ready", f"{second:.2f} s", "-", f"goal <= {_READY_SECONDS_GOAL} s {met}")


def _memory() -> None:
    with postgres() as url:
        migrate(url)
        port, bare_port = free_port(), free_port()
        serve = strongroom("serve", "--role", "api")
        with (
            running(serve, port, "/readyz", api_environment(url, port)) as ours,
            running(bare_app(bare_port), bare_port, "/") as bare,
        ):
            mine, theirs = _resident_mib(ours.pid), _resident_mib(bare.pid)
    _line("memory of an idle API", f"{mine:.0f} MiB", f"{theirs:.0f} MiB",
          judged(mine / theirs, _MEMORY_RATIO_GOAL, at_least=False))  # fmt: skip


def _resident_mib(process_id: int) -> float:
    kib = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(process_id)], check=True, capture_output=True, text=True
    ).stdout
    return int(kib) / 1024


def _line(name: str, ours: str, reference: str, verdict: str) -> None:
    print(f"{name:<24} {ours:>10} {reference:>10} {verdict}", flush=True)


def main() -> None:
    os.environ.pop("DATABASE_URL", None)
    print(f"{'starting':<24} {'ours':>10} {'reference':>10} {'ratio':>7}")
    _help()
    _ups()
    _memory()


if __name__ == "__main__":
    main()
