"""The entrypoint, for real: a shell, a PostgreSQL, and a stand-in for the service."""

import secrets
import signal
import subprocess
from typing import Protocol
from uuid import uuid4

import pytest

from backend.tests.support.databases import drop_database, server_connection, with_database
from backend.tests.support.deployment import ROOT
from backend.tests.support.ports import KeptPort

pytestmark = pytest.mark.slow


class Entrypoint(Protocol):
    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]: ...
    def run(self, *arguments: str, **environment: str) -> tuple[int, str]: ...


async def test_a_container_migrates_its_database_and_becomes_the_service(
    entrypoint: Entrypoint, cluster_url: str
) -> None:
    name = f"entrypoint_{uuid4().hex}"
    url = with_database(cluster_url, name)

    code, output = entrypoint.run(DATABASE_URL=url)

    async with server_connection(cluster_url) as connection:
        exists = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name)
    async with server_connection(url) as connection:
        revision = await connection.fetchval("SELECT version_num FROM alembic_version")
    async with server_connection(cluster_url) as connection:
        await drop_database(connection, name)
    assert (code, exists) == (0, 1)
    assert revision
    assert output.endswith("serving: serve --role api\n")


def test_a_database_that_never_answers_is_named_in_one_line_without_its_password(
    entrypoint: Entrypoint,
) -> None:
    password = secrets.token_urlsafe(16)
    with KeptPort() as port:
        place = f"127.0.0.1:{port.number}"
        code, output = entrypoint.run(
            DATABASE_URL=f"postgresql://app:{password}@{place}/vault", DATABASE_WAIT_SECONDS="3"
        )

    assert code == 1
    waiting, given_up = output.splitlines()
    assert waiting == f"init_db: waiting for PostgreSQL at {place} ..."
    assert given_up.startswith(f"init_db: no PostgreSQL answered at {place} within 3 s.")
    assert password not in output


def test_without_an_address_the_service_is_not_started(entrypoint: Entrypoint) -> None:
    code, output = entrypoint.run()

    assert code == 2
    assert output.startswith("init_db: DATABASE_URL is not set. Expected form: postgresql://")


def test_the_sandbox_needs_no_database(entrypoint: Entrypoint) -> None:
    assert entrypoint.run(ROLE="sandbox") == (0, "serving: serve --role sandbox\n")


def test_arguments_are_run_instead_of_the_service(entrypoint: Entrypoint) -> None:
    code, output = entrypoint.run("strongroom", "reset-password", "o'neil admin")

    assert (code, output) == (0, "serving: reset-password o'neil admin\n")


def test_the_signal_that_stops_a_container_reaches_the_service(entrypoint: Entrypoint) -> None:
    with entrypoint.start(ROLE="sandbox", STAY="yes") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "serving: serve --role sandbox\n"

        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=60) == 42


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_every_shell_can_read_the_entrypoint(shell: str) -> None:
    subprocess.run([shell, "-n", ROOT / "docker" / "entrypoint.sh"], check=True)
