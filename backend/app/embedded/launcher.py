"""Become one program: as the server's account, and tied to the life of the thread that asked.

Run by path in a fresh interpreter, so it imports nothing of ours:
`python -I -S launcher.py <parent pid> <uid or -> <gid or -> <program> <arguments>`.
A fresh interpreter has one thread, which makes this safe where a hook between fork and exec in a
threaded process is not.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


def _drop_to(uid: str, gid: str) -> None:
    if uid != "-":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))


def _die_with_parent() -> None:
    # Only Linux can; elsewhere the next start finds what was left. A change of user clears the
    # signal, so this comes after it. SIGINT is PostgreSQL's fast shutdown.
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        library.prctl(_PR_SET_PDEATHSIG, int(signal.SIGINT))


def main(parent: str, uid: str, gid: str, *command: str) -> None:
    """Replace this interpreter by `command`."""
    _drop_to(uid, gid)
    _die_with_parent()
    # The interpreter ignores these two, and what is ignored stays so across exec.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    if os.getppid() != int(parent):
        sys.exit("the supervisor ended before its server began")
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(*sys.argv[1:])
