"""The file of anchors: lines are added to its end, each on the disk before we go on."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from backend.app.audit_anchor import Anchor
from backend.app.errors import ConfigurationError

_PRIVATE_FILE: Final = 0o600
_TAIL_BYTES: Final = 4096


class AnchorFile:
    """Anchors outside of the database."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, anchor: Anchor) -> None:
        """Add a line, in one write, so that several processes may share the file.

        Raises:
            OSError: it cannot be written.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, _PRIVATE_FILE)
        try:
            os.write(descriptor, f"{anchor.line()}\n".encode("ascii"))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def newest(self) -> Anchor | None:
        """Return the last anchor in the file; None if there is none, or no file.

        Raises:
            OSError: it cannot be read.
        """
        try:
            with self._path.open("rb") as file:
                file.seek(max(0, self._path.stat().st_size - _TAIL_BYTES))
                lines = file.read().decode("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return None
        read = [anchor for line in lines if (anchor := Anchor.read(line)) is not None]
        return max(read, default=None, key=lambda anchor: anchor.seq)


def anchors_in(path: Path) -> Iterator[Anchor]:
    """Read the anchors of a file of anchors, or of a log; other lines are passed over.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            for line in file:
                anchor = Anchor.read(line.decode("utf-8", "replace"))
                if anchor is not None:
                    yield anchor
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}).") from None
