import asyncio
import secrets
import sys
from collections.abc import AsyncIterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import pytest
from sqlalchemy import URL, make_url

from backend.app.embedded import EmbeddedPostgres
from backend.app.errors import ConfigurationError
from backend.tests.support.databases import drop_database, server_connection, with_database
from backend.tests.support.deployment import ROOT

pytestmark = pytest.mark.slow

SCRIPT = ROOT / "scripts" / "init_db.py"


@pytest.fixture
async def missing_database(cluster_url: str) -> AsyncIterator[str]:
    # A name that must be quoted.
    name = f"Vault {uuid4().hex}"
    yield with_database(cluster_url, name)
    async with server_connection(cluster_url) as connection:
        await drop_database(connection, name)


@pytest.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[str]:
    server = EmbeddedPostgres(tmp_path / "postgres")
    yield await server.start()
    await server.stop()


async def refusal_of(url: URL) -> str:
    """Run the script's work in this process, which is refused, and return what is said."""
    with pytest.raises(ConfigurationError) as refused:
        await asyncio.to_thread(script().bring_up_to_date, url, 10.0)
    return str(refused.value)


def script() -> ModuleType:
    spec = spec_from_file_location("init_db", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def init_db(url: str, directory: Path, **more: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        SCRIPT,
        "--wait-seconds",
        "10",
        env={"DATABASE_URL": url, **more},
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_a_missing_database_is_made_once_however_many_start_at_once(
    missing_database: str, tmp_path: Path
) -> None:
    runs = await asyncio.gather(*(init_db(missing_database, tmp_path) for _ in range(2)))

    assert [code for code, _ in runs] == [0, 0]
    async with server_connection(missing_database) as connection:
        assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1
        assert await connection.fetchval("SELECT count(*) FROM users") == 0


async def test_a_finished_database_stays_as_it_is(database_url: str, tmp_path: Path) -> None:
    async with server_connection(database_url) as connection:
        before = await connection.fetchval("SELECT version_num FROM alembic_version")

    code, output = await init_db(database_url, tmp_path)

    async with server_connection(database_url) as connection:
        after = await connection.fetchval("SELECT version_num FROM alembic_version")
    assert (code, after) == (0, before)
    assert output.endswith("has the newest form.\n")


async def test_it_goes_past_a_pooler_where_there_is_a_way(
    missing_database: str, tmp_path: Path
) -> None:
    pooler = "postgresql://nobody@127.0.0.1:9/none"

    code, output = await init_db(pooler, tmp_path, DATABASE_DIRECT_URL=missing_database)

    assert code == 0, output
    async with server_connection(missing_database) as connection:
        assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1


async def test_a_wrong_password_is_said_at_once_and_not_shown(cluster_url: str) -> None:
    wrong = secrets.token_urlsafe(16)

    said = await refusal_of(make_url(cluster_url).set(password=wrong))

    assert said.endswith("refuses the user or the password in DATABASE_URL.")
    assert wrong not in said


async def test_who_may_not_create_a_database_is_told_what_an_administrator_can_do(
    own_server: str,
) -> None:
    # The nearest to a role without the right that this role can make of itself.
    async with server_connection(own_server) as connection:
        await connection.execute(
            "ALTER ROLE CURRENT_USER IN DATABASE postgres SET default_transaction_read_only = on"
        )
    url = make_url(own_server)

    said = await refusal_of(url.set(database="Vault"))

    assert f'CREATE DATABASE "Vault" OWNER "{url.username}"' in said
    assert str(url.password) not in said


async def test_who_may_not_make_tables_is_told_so(cluster_url: str) -> None:
    # Since version 15 only a database's owner may, and of this one that is somebody else.
    url = make_url(cluster_url).set(database="postgres")

    said = await refusal_of(url)

    assert said == f"user {url.username} may not create tables in database postgres."
