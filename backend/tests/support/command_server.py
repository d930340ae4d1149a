"""Runs `strongroom` whenever a line asks for it, each time in a process of its own.

What a verb does takes a tenth of a second, and importing what it needs takes seconds. Here that is
done once: each command is a fork of this process, which has nothing but the imports behind it.
Started by `backend.tests.support.commands`.
"""

import gc
import json
import os
import signal
import sys
from typing import Any

# Imported for the commands to come.
from backend.app import cli, greeting, launch, rehearsal  # noqa: F401
from backend.app.commands import audit_operations, doctor, key_operations  # noqa: F401


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


def serve() -> None:
    """Answer each line, which is what to run, with the exit code; end with the input."""
    # Or each child looks through all that was imported as it ends, and copies it: 0.8 s.
    gc.freeze()
    while line := sys.stdin.readline():
        child = os.fork()
        if not child:
            _become(json.loads(line))
            sys.exit(cli.main())
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()
