"""The entrypoint as a container runs it, with a stand-in for the service it becomes."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from backend.tests.support.deployment import ROOT

# Says that it was started and how, and answers the signal a container is stopped with.
_STAND_IN = """#!/bin/sh
trap 'exit 42' TERM
echo "serving: $*"
[ -z "${STAY:-}" ] || while :; do sleep 0.02; done
"""


class Entrypoint:
    """Starts `docker/entrypoint.sh` with nothing in its environment but what a test gives it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        stand_in = directory / "bin" / "strongroom"
        stand_in.parent.mkdir()
        stand_in.write_text(_STAND_IN)
        stand_in.chmod(stat.S_IRWXU)
        self._path = f"{stand_in.parent}:{Path(sys.executable).parent}:{os.defpath}"

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["sh", str(ROOT / "docker" / "entrypoint.sh"), *arguments],
            env={"PATH": self._path, **environment},
            cwd=self._directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, **environment: str) -> tuple[int, str]:
        with self.start(*arguments, **environment) as process:
            output, _ = process.communicate(timeout=120)
            return process.returncode, output


@pytest.fixture
def entrypoint(tmp_path: Path) -> Entrypoint:
    return Entrypoint(tmp_path)
