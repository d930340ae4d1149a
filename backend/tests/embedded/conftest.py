"""A cluster made once, and a copy of it for each test."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from backend.app.embedded import EmbeddedPostgres
from backend.tests.support.embedded import no_server_is_left, wait_until

_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 1 << 30


async def _make(home: Path) -> None:
    server = EmbeddedPostgres(home)
    await server.start()
    await server.stop()


@contextmanager
def _short_directory() -> Iterator[Path]:
    """A directory with a short path whatever the test is called, in memory where there is room.

    A kill leaves what the system has buffered as it is, so the disk proves nothing more.
    """
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES
    directory = Path(tempfile.mkdtemp(prefix="embedded-", dir=_MEMORY if roomy else None))
    yield directory
    # A server whose supervisor was killed is still ending, and would write where we remove.
    for lock in directory.rglob("server.lock"):
        wait_until(partial(no_server_is_left, lock.parent))
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def made_home() -> Iterator[Path]:
    with _short_directory() as directory:
        asyncio.run(_make(directory / "home"))
        yield directory / "home"


@pytest.fixture
def place() -> Iterator[Path]:
    with _short_directory() as directory:
        yield directory


@pytest.fixture
def home(made_home: Path, place: Path) -> Path:
    # Owners matter, and only `cp` keeps them.
    subprocess.run(["cp", "-a", made_home, place / "home"], check=True)
    return place / "home"


@pytest.fixture
async def server(home: Path) -> AsyncIterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(home)
    yield server
    await server.stop()
