"""A file that appears whole and for nobody else, or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from backend.app.errors import ConfigurationError

_THERE: Final = "{} is there already and is not overwritten."


@contextmanager
def new_private_file(path: Path) -> Iterator[BinaryIO]:
    """Yield what becomes the file `path` when the block ends well; nothing is ever overwritten.

    Raises:
        ConfigurationError: there is such a file already, or none can be made there.
    """
    if os.path.lexists(path):
        raise ConfigurationError(_THERE.format(path))
    try:
        # Of mode 0600 from its first byte, and on the same disk, so that it can take its name.
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            # Unlike renaming, this refuses to take the place of what has come there meanwhile.
            os.link(name, path)
            _remember(path.parent)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(name)
    except FileExistsError:
        raise ConfigurationError(_THERE.format(path)) from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written ({error.strerror}).") from None


def _remember(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
