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

from backend.app.embedded import EmbeddedPostgres

URL_VARIABLE = "STRONGROOM_TEST_POSTGRES"


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
    directory = Path(tempfile.mkdtemp(prefix="strongroom-tests-"))
    server = EmbeddedPostgres(directory / "postgres")
    config.stash[_CLUSTER] = _Cluster(server, directory)
    os.environ[URL_VARIABLE] = asyncio.run(server.start())


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
