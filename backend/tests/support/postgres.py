"""One PostgreSQL for a whole test run, whatever number of processes runs the tests.

The process that leads the run starts it and stops it; the workers it begins inherit the address.
Set the variable beforehand to run the tests against another server.
"""

import asyncio
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from backend.app.embedded import EmbeddedPostgres
from backend.tests.support.databases import server_connection

URL_VARIABLE = "STRONGROOM_TEST_POSTGRES"
_MEMORY = "/dev/shm"
_ROOM_BYTES = 4 * 1024**3


@dataclass(frozen=True)
class _Cluster:
    server: EmbeddedPostgres
    directory: Path


_CLUSTER = pytest.StashKey[_Cluster]()


def start_cluster(config: pytest.Config) -> None:
    """Start the server of this run. Call it from `pytest_configure`."""
    # The tests may be in a worker, which has inherited the address, or may not run at all.
    if URL_VARIABLE in os.environ or config.option.collectonly:
        return
    directory = Path(tempfile.mkdtemp(prefix="strongroom-tests-", dir=_in_memory()))
    server = EmbeddedPostgres(directory / "postgres")
    config.stash[_CLUSTER] = _Cluster(server, directory)
    os.environ[URL_VARIABLE] = asyncio.run(_started(server))


async def _started(server: EmbeddedPostgres) -> str:
    url = await server.start()
    # A run opens tens of thousands of connections, and hardening the password is most of what
    # each costs us. The password is as random as before.
    async with server_connection(url) as connection:
        await connection.execute(
            f"SET scram_iterations = 1; ALTER ROLE CURRENT_USER PASSWORD '{make_url(url).password}'"
        )
    return url


def _in_memory() -> str | None:
    """Return a file system in memory with room for the run, or None for the usual one.

    Hundreds of databases are made and thrown away, and each waits for the disk several times.
    What must survive a kill is tested on clusters of their own, on the disk.
    """
    try:
        has_room = shutil.disk_usage(_MEMORY).free >= _ROOM_BYTES
    except OSError:
        return None
    return _MEMORY if has_room else None


def stop_cluster(config: pytest.Config) -> None:
    """Stop and forget what `start_cluster` started. Call it from `pytest_unconfigure`."""
    cluster = config.stash.get(_CLUSTER, None)
    if cluster is not None:
        os.environ.pop(URL_VARIABLE, None)
        asyncio.run(cluster.server.stop())
        shutil.rmtree(cluster.directory, ignore_errors=True)


def cluster_url() -> str:
    """Return the address of the server of this run."""
    return os.environ[URL_VARIABLE]
