"""Looking for secrets wherever something may have been left: in every form a program writes text.

A search that finds nothing proves something only if it would have found something: `forms` has
tests of its own, and the leak test plants a word in every place it searches.
"""

import base64
import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

from sqlalchemy.engine import make_url

from backend.app.embedded.binaries import find_binaries

_BASE64_GROUP_BYTES = 3
_SHORTER = bytes(64)
_EMPTY = re.compile(rb"\0{65,}")


def forms(secret: bytes) -> Mapping[str, set[bytes]]:
    """Return the ways in which a secret may have been written down, by name."""
    text = secret.decode("latin-1")
    return {
        "plain": {secret},
        "reversed": {secret[::-1]},
        "hex": {secret.hex().encode(), secret.hex().upper().encode()},
        "base64": _base64(secret),
        "base64url": {found.translate(_URL_SAFE) for found in _base64(secret)},
        "url-encoded": {quote(text, safe="").encode(), quote_plus(text).encode()},
        "json": {json.dumps(text)[1:-1].encode()},
        "escaped twice": {json.dumps(json.dumps(text)[1:-1])[1:-1].encode()},
        "utf-16": {text.encode("utf-16-le"), text.encode("utf-16-be")},
    }


def _base64(secret: bytes) -> set[bytes]:
    """Return what is the same of the secret's base64 wherever in a longer text it stands."""
    found = set()
    for before in range(_BASE64_GROUP_BYTES):
        encoded = base64.b64encode(b"\0" * before + secret)
        # The letters that share bits with neighbours are left out, at both ends.
        whole = (before + len(secret)) // _BASE64_GROUP_BYTES * 4
        found.add(encoded[4 if before else 0 : whole])
    return found


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def found_in(places: Mapping[str, bytes], secrets: Mapping[str, bytes]) -> list[tuple[str, ...]]:
    """Return every (secret, form, place) that is found."""
    wanted = [
        (name, form, needle)
        for name, secret in secrets.items()
        for form, needles in forms(secret).items()
        for needle in needles
    ]
    return sorted(
        {
            (name, form, place)
            for place, content in places.items()
            for name, form, needle in wanted
            if needle in content
        }
    )


def dump_of(url: str) -> bytes:
    """Return a dump of a database, as a thief of a backup would have it."""
    address = make_url(url)
    command = [str(find_binaries().program("pg_dump")), "--inserts"]
    command += ["--host", str(address.query.get("host") or address.host)]
    command += ["--port", str(address.query.get("port") or address.port or 5432)]
    command += ["--username", str(address.username), str(address.database)]
    dumped = subprocess.run(
        command, env={"PGPASSWORD": str(address.password)}, capture_output=True, check=True
    )
    return dumped.stdout


def files_below(directory: Path, leave_out: Iterable[Path] = ()) -> bytes:
    """Return the content of every file, once, without the long empty stretches."""
    left_out = set(leave_out)
    files = [file for file in sorted(directory.rglob("*")) if file.is_file()]
    # A cluster holds each catalogue three times over, and its log is made of zeros until used.
    contents = dict.fromkeys(file.read_bytes() for file in files if file not in left_out)
    return b"\n".join(_EMPTY.sub(_SHORTER, content) for content in contents)


def published_by_children() -> bytes:
    """Return the command lines and environments of every process below this one."""
    return b"\n".join(
        _read(Path(f"/proc/{pid}/{name}"))
        for pid in _descendants(os.getpid())
        for name in ("cmdline", "environ")
    )


def _read(file: Path) -> bytes:
    """Return what a file of a process says; nothing if the process has ended meanwhile."""
    try:
        return file.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _descendants(pid: int) -> Iterator[int]:
    parents: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and (stat := _read(Path(entry, "stat"))):
            parent = int(stat.rpartition(b")")[2].split()[1])
            parents.setdefault(parent, []).append(int(entry.name))
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        yield from children
        waiting += children
