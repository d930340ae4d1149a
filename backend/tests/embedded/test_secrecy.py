"""Who may see what: files, sockets, command lines, environments, logs."""

import asyncio
import contextlib
import os
import stat
from pathlib import Path

import asyncpg
import pytest

from backend.app.embedded import EmbeddedPostgres
from backend.app.embedded.home import Home
from backend.app.embedded.leftovers import is_ours
from backend.tests.support.embedded import account_of, ask, wait_until

pytestmark = pytest.mark.slow

_GROUP_AND_OTHERS = 0o077
_TRIES_MAX = 10


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _published() -> bytes:
    """Everything any local user may read of any process."""
    return b"\n".join(
        _read(Path(entry) / name)
        for entry in os.scandir("/proc")
        if entry.name.isdigit()
        for name in ("cmdline", "environ")
    )


def _read(path: Path) -> bytes:
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return b""


def _server_log(home: Path) -> bytes:
    return b"".join(file.read_bytes() for file in (Home(home).data / "log").iterdir())


def _server_processes(home: Path) -> list[Path]:
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [Path(f"/proc/{pid}") for pid in pids if is_ours(Home(home), pid)]


async def test_nothing_of_ours_is_open_to_others(server: EmbeddedPostgres, home: Path) -> None:
    await server.start()

    files = [home, *home.rglob("*")]

    assert [one for one in files if _mode(one) & _GROUP_AND_OTHERS] == []


async def test_the_server_owns_its_cluster_and_nothing_else(
    server: EmbeddedPostgres, home: Path
) -> None:
    await server.start()

    assert home.stat().st_uid == os.geteuid()
    assert Home(home).password_file.stat().st_uid == os.geteuid()
    assert Home(home).cluster.stat().st_uid == account_of(home).uid


async def test_the_server_is_an_ordinary_user_without_groups_or_capabilities(
    server: EmbeddedPostgres, home: Path
) -> None:
    await server.start()

    for process in _server_processes(home):
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        assert "0" not in status["Uid"].split()
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
        assert status["NoNewPrivs"].strip() == "1"


async def test_directories_above_keep_their_modes_and_owners(
    server: EmbeddedPostgres, home: Path
) -> None:
    await server.start()

    above = home.parent
    assert (_mode(above), above.stat().st_uid) == (0o700, os.geteuid())
    assert (_mode(home), home.stat().st_uid) == (0o700, os.geteuid())


async def test_no_password_is_ever_published_while_a_cluster_is_made_and_run(place: Path) -> None:
    # The control: what is looked for would be found where we look, unless we look too seldom.
    for number in range(_TRIES_MAX):
        published = await _published_at_a_first_start(place / f"home-{number}")
        if b"--pwfile=../administrator" in published:
            return
    pytest.fail("nobody saw the cluster being made")


async def _published_at_a_first_start(home: Path) -> bytes:
    server = EmbeddedPostgres(home)
    starting = asyncio.create_task(server.start())
    published = b""
    while not starting.done():
        published += _published()
        await asyncio.sleep(0.01)
    published += _published()
    await server.stop()
    assert Home(home).password().encode() not in published
    return published


async def test_our_environment_does_not_reach_the_server(
    server: EmbeddedPostgres, home: Path
) -> None:
    await server.start()

    processes = _server_processes(home)
    inherited = [
        name
        for process in processes
        for name in (process / "environ").read_bytes().split(b"\0")
        if name.split(b"=")[0] in {b"HOME", b"USER", b"VIRTUAL_ENV", b"STRONGROOM_TEST_POSTGRES"}
    ]

    assert len(processes) > 3
    assert inherited == []


async def test_no_value_reaches_the_servers_log(server: EmbeddedPostgres, home: Path) -> None:
    url = await server.start()
    await ask(url, "CREATE TABLE t (v text PRIMARY KEY)")
    with pytest.raises(asyncpg.UniqueViolationError):
        await ask(url, "INSERT INTO t VALUES ('canary-1'), ('canary-1')")

    # The server hands its log to a process of its own, so a line may take a moment.
    wait_until(lambda: b"duplicate key" in _server_log(home))
    assert b"canary" not in _server_log(home)


def test_no_password_is_left_behind_in_the_clear(made_home: Path) -> None:
    password = Home(made_home).password().encode()

    files = [file for file in made_home.rglob("*") if file.is_file()]

    assert [one for one in files if password in one.read_bytes()] == [made_home / "password"]
    assert "administrator" not in {one.name for one in files}
