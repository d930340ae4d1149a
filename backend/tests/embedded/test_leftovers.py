"""What an earlier run left behind is ended; what only looks like it is left alone."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.app.embedded import EmbeddedPostgres
from backend.app.embedded.binaries import find_binaries
from backend.app.embedded.cluster import data_argument
from backend.app.embedded.errors import LeftoverServer
from backend.app.embedded.home import Home, open_private, try_lock
from backend.app.embedded.leftovers import postmaster_pid
from backend.tests.support.embedded import (
    CONNECTION_LOST,
    account_of,
    as_account,
    ask,
    ask_when_back,
    connect,
    wait_until,
)

pytestmark = pytest.mark.slow


@contextlib.contextmanager
def _stranger(home: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of the server's account that has nothing to do with us."""
    with subprocess.Popen(["sleep", "3600"], **as_account(account_of(home))) as process:
        yield process
        process.kill()


@contextlib.contextmanager
def _server_by_hand(home: Path, *inherited: int) -> Iterator["subprocess.Popen[bytes]"]:
    """A PostgreSQL on our data that does not end with whoever started it."""
    account, data = account_of(home), Home(home).data
    program = str(find_binaries().program("postgres"))
    with subprocess.Popen(
        [program, "-D", data_argument(account, data), "-c", "listen_addresses=", "-k", "../run"],
        cwd=data,
        pass_fds=inherited,
        stderr=subprocess.DEVNULL,
        **as_account(account),
    ) as process:
        wait_until(lambda: b"ready" in _pid_file(home))
        yield process
        process.send_signal(signal.SIGINT)


def _pid_file(home: Path) -> bytes:
    with contextlib.suppress(FileNotFoundError):
        return (Home(home).data / "postmaster.pid").read_bytes()
    return b""


async def test_a_recycled_pid_is_a_stranger_and_does_not_keep_the_server_from_starting(
    server: EmbeddedPostgres, home: Path
) -> None:
    with _stranger(home) as stranger:
        file = Home(home).data / "postmaster.pid"
        file.write_text(f"{stranger.pid}\n/proc/self/cwd\n1795260011\n5432\n../run\n")
        file.chmod(0o600)

        assert await ask(await server.start(), "SELECT 1") == 1

        assert stranger.poll() is None


async def test_a_recycled_pid_in_the_lock_file_of_the_socket_is_forgotten_too(
    server: EmbeddedPostgres, home: Path
) -> None:
    with _stranger(home) as stranger:
        lock = home / "cluster" / "run" / ".s.PGSQL.5432.lock"
        lock.write_text(f"{stranger.pid}\n/proc/self/cwd\n1795260011\n5432\n../run\n")

        assert await ask(await server.start(), "SELECT 1") == 1

        assert stranger.poll() is None


@pytest.mark.parametrize("content", ["", "-1\n", "999999999\n"])
async def test_a_spoilt_pid_file_does_not_keep_the_server_from_starting(
    server: EmbeddedPostgres, home: Path, content: str
) -> None:
    (Home(home).data / "postmaster.pid").write_text(content)

    assert await ask(await server.start(), "SELECT 1") == 1


async def test_a_server_left_by_an_earlier_run_is_ended_and_replaced(
    server: EmbeddedPostgres, home: Path
) -> None:
    lock = open_private(Home(home).server_lock)
    assert try_lock(lock)
    with _server_by_hand(home, lock) as leftover:
        os.close(lock)

        url = await server.start()

        assert leftover.wait() == 0
        assert postmaster_pid(Home(home)) != leftover.pid
        assert await ask(url, "SELECT 1") == 1


async def test_a_server_somebody_started_by_hand_is_left_alone(
    server: EmbeddedPostgres, home: Path
) -> None:
    with _server_by_hand(home) as theirs:
        with pytest.raises(LeftoverServer, match=rf"Process {theirs.pid} .* did not start"):
            await server.start()

        assert theirs.poll() is None
        assert postmaster_pid(Home(home)) == theirs.pid


async def test_a_busy_process_of_a_killed_server_does_not_keep_it_down(
    server: EmbeddedPostgres, home: Path
) -> None:
    url = await server.start()
    busy = await connect(url)
    # Never waits for anything, so it never notices that its server is dead.
    endless = asyncio.create_task(busy.execute("DO $$ BEGIN LOOP PERFORM 1; END LOOP; END $$"))
    runs = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'DO $$%'"
    while not await ask(url, runs):
        await asyncio.sleep(0.01)

    os.kill(postmaster_pid(Home(home)), signal.SIGKILL)

    assert await ask_when_back(url, "SELECT 1") == 1
    with pytest.raises(CONNECTION_LOST):
        await endless
    busy.terminate()
