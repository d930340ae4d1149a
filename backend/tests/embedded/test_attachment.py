"""A second process finds the server that the first one runs, and no server where none runs."""

from pathlib import Path

import asyncpg
import pytest

from backend.app.embedded import EmbeddedPostgres
from backend.app.embedded.attachment import attached_url
from backend.tests.support.databases import driver_url

pytestmark = pytest.mark.slow


async def test_a_running_server_is_found_by_its_directory(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres")
    url = await server.start()
    try:
        found = attached_url(tmp_path / "postgres")
        assert found == url
        connection = await asyncpg.connect(driver_url(found))
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
    finally:
        await server.stop()

    assert attached_url(tmp_path / "postgres") is None


async def test_a_server_whose_socket_lies_elsewhere_is_found_too(tmp_path: Path) -> None:
    home = tmp_path / ("long" * 30) / "postgres"
    server = EmbeddedPostgres(home)
    url = await server.start()
    try:
        assert attached_url(home) == url
    finally:
        await server.stop()


def test_where_nothing_was_ever_started_nothing_is_found(tmp_path: Path) -> None:
    assert attached_url(tmp_path) is None
