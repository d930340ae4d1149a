"""The promises of the embedded PostgreSQL, kept by real servers and real kills."""

import asyncio
import os
import signal
import threading
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from backend.app.embedded import EmbeddedPostgres
from backend.app.embedded.errors import (
    DataOfAnotherVersion,
    HomeInUse,
    HomeUnusable,
    ServerDidNotStart,
)
from backend.app.embedded.home import Home
from backend.app.embedded.leftovers import is_ours, postmaster_pid
from backend.tests.support.embedded import (
    CONNECTION_LOST,
    ask,
    ask_rows,
    ask_when_back,
    connect,
    no_server_is_left,
    running,
    said,
    supervisor,
    wait_until,
)

pytestmark = pytest.mark.slow

_TRIES_MAX = 10


async def _write_until_it_breaks(url: str, acknowledged: list[int]) -> None:
    connection = await connect(url)
    await connection.execute("CREATE TABLE kept (n int PRIMARY KEY)")
    try:
        for number in range(1_000_000):
            await connection.execute("INSERT INTO kept VALUES ($1)", number)
            acknowledged.append(number)
    except CONNECTION_LOST:
        connection.terminate()


async def _kill_while_writing(url: str, pid: int) -> list[int]:
    acknowledged: list[int] = []
    writing = asyncio.create_task(_write_until_it_breaks(url, acknowledged))
    while len(acknowledged) < 100:
        await asyncio.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    await writing
    return acknowledged


async def test_the_url_is_ready_for_sqlalchemy(server: EmbeddedPostgres) -> None:
    engine = create_async_engine(await server.start())

    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT current_user, current_database()"))

    assert found.one() == ("strongroom", "strongroom")
    await engine.dispose()


async def test_a_first_start_makes_everything_it_needs(place: Path) -> None:
    server = EmbeddedPostgres(place / "deep" / "home")

    url = await server.start()

    assert await ask(url, "SELECT 1") == 1
    await server.stop()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("server_encoding", "UTF8"),
        ("data_checksums", "on"),
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
        ("password_encryption", "scram-sha-256"),
        ("log_parameter_max_length", "0"),
        ("log_parameter_max_length_on_error", "0"),
        ("log_min_error_statement", "panic"),
        ("log_error_verbosity", "terse"),
        ("TimeZone", "UTC"),
    ],
)
def test_the_server_is_set_up_as_promised(settings_in_force: dict[str, str], name: str, value: str):
    assert settings_in_force[name] == value


@pytest.fixture(scope="module")
def settings_in_force(made_home: Path) -> dict[str, str]:
    with running(made_home) as url:
        rows = asyncio.run(ask_rows(url, "SELECT name, setting FROM pg_settings"))
    return dict(rows)


async def test_letters_of_every_language_have_their_case(server: EmbeddedPostgres) -> None:
    assert await ask(await server.start(), "SELECT lower('ÄÉΩ')") == "äéω"


async def test_a_wrong_password_is_refused(server: EmbeddedPostgres) -> None:
    url = await server.start()

    wrong = make_url(url).set(password="wrong").render_as_string(hide_password=False)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await ask(wrong, "SELECT 1")


@pytest.mark.parametrize(
    "forbidden",
    [
        "SELECT pg_read_file('PG_VERSION')",
        "COPY (SELECT 1) TO PROGRAM 'cat'",
        "SELECT rolpassword FROM pg_authid",
    ],
)
async def test_the_service_cannot_reach_past_the_database(
    server: EmbeddedPostgres, forbidden: str
) -> None:
    url = await server.start()

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ask(url, forbidden)


async def test_a_server_killed_while_writing_is_back_with_every_row(
    server: EmbeddedPostgres, home: Path
) -> None:
    url = await server.start()

    acknowledged = await _kill_while_writing(url, postmaster_pid(Home(home)))

    kept = await ask_when_back(url, "SELECT array_agg(n) FROM kept")
    assert set(acknowledged) <= set(kept)


async def test_a_server_killed_again_and_again_is_back_each_time(
    server: EmbeddedPostgres, home: Path
) -> None:
    url = await server.start()

    for _ in range(3):
        killed = postmaster_pid(Home(home))
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda killed=killed: postmaster_pid(Home(home)) not in (0, killed))
        assert await ask_when_back(url, "SELECT 1") == 1


async def test_a_supervisor_killed_while_writing_takes_its_server_along_and_keeps_every_row(
    home: Path,
) -> None:
    with supervisor(home) as child:
        acknowledged = await _kill_while_writing(said(child), child.pid)
        wait_until(lambda: no_server_is_left(home))

    server = EmbeddedPostgres(home)
    kept = await ask(await server.start(), "SELECT array_agg(n) FROM kept")
    assert set(acknowledged) <= set(kept)
    await server.stop()


async def test_both_killed_at_once_lose_nothing(home: Path) -> None:
    with supervisor(home) as child:
        url = said(child)
        os.kill(child.pid, signal.SIGSTOP)
        acknowledged = await _kill_while_writing(url, postmaster_pid(Home(home)))

    server = EmbeddedPostgres(home)
    kept = await ask(await server.start(), "SELECT array_agg(n) FROM kept")
    assert set(acknowledged) <= set(kept)
    await server.stop()


async def test_the_end_of_the_calling_thread_does_not_end_the_server(
    server: EmbeddedPostgres, home: Path
) -> None:
    urls: list[str] = []
    caller = threading.Thread(target=lambda: urls.append(asyncio.run(server.start())))
    caller.start()
    caller.join()

    began = await ask(urls[0], "SELECT pg_postmaster_start_time()")
    # Longer than it takes to notice an end and start again.
    await asyncio.sleep(0.5)

    assert await ask(urls[0], "SELECT pg_postmaster_start_time()") == began


async def test_a_second_start_is_refused_and_names_the_holder(
    server: EmbeddedPostgres, home: Path
) -> None:
    url = await server.start()

    with pytest.raises(HomeInUse, match=f"process {os.getpid()}"):
        await EmbeddedPostgres(home).start()

    assert await ask(url, "SELECT 1") == 1


def test_of_two_first_starts_at_once_exactly_one_wins(place: Path) -> None:
    with supervisor(place / "home") as one, supervisor(place / "home") as other:
        answers = sorted((said(one), said(other)))

    assert answers[0].startswith("HomeInUse")
    assert answers[1].startswith("postgresql+asyncpg://")


async def test_a_stopped_server_leaves_no_process_and_starts_again(
    server: EmbeddedPostgres, home: Path
) -> None:
    url = await server.start()
    await server.stop()
    await server.stop()

    wait_until(lambda: no_server_is_left(home))

    assert await server.start() == url
    assert await ask(url, "SELECT 1") == 1


async def test_a_first_start_that_was_killed_does_not_spoil_the_next(place: Path) -> None:
    # Where it was done before we came to kill it, another is begun.
    home = next(
        home
        for number in range(_TRIES_MAX)
        if _killed_in_the_middle(home := Home(place / f"home-{number}"))
    )

    server = EmbeddedPostgres(home.root)
    assert await ask(await server.start(), "SELECT 1") == 1
    await server.stop()


def _killed_in_the_middle(home: Home) -> bool:
    """Kill a first start whose files are being written; say whether it was killed in time."""
    with supervisor(home.root) as child:
        wait_until((home.new_cluster / "data" / "base").exists)
        child.kill()
    return not home.cluster.exists()


async def test_a_lost_password_is_replaced(server: EmbeddedPostgres, home: Path) -> None:
    before = Home(home).password()
    Home(home).password_file.unlink()

    url = await server.start()

    assert await ask(url, "SELECT 1") == 1
    assert Home(home).password() != before


async def test_data_of_another_version_are_left_alone(server: EmbeddedPostgres, home: Path) -> None:
    (home / "cluster" / "data" / "PG_VERSION").write_text("17\n")

    with pytest.raises(DataOfAnotherVersion, match=r"PostgreSQL 17, ours is 18\..*Dump it"):
        await server.start()


async def test_a_home_that_cannot_be_made_is_refused(place: Path) -> None:
    (place / "file").touch()

    with pytest.raises(HomeUnusable, match="Give user"):
        await EmbeddedPostgres(place / "file" / "home").start()


async def test_a_spoilt_configuration_points_to_the_servers_own_words(
    server: EmbeddedPostgres, home: Path
) -> None:
    with (home / "cluster" / "data" / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = on\n")

    with pytest.raises(ServerDidNotStart, match=r"start\.log"):
        await server.start()

    assert "no_such_setting" in (home / "start.log").read_text()


async def test_a_refused_start_frees_the_directory(server: EmbeddedPostgres, home: Path) -> None:
    version = home / "cluster" / "data" / "PG_VERSION"
    version.write_text("17\n")
    with pytest.raises(DataOfAnotherVersion):
        await server.start()
    await server.stop()
    version.write_text("18\n")

    assert await ask(await server.start(), "SELECT 1") == 1


async def test_every_process_of_the_server_is_known_as_ours(
    server: EmbeddedPostgres, home: Path
) -> None:
    url = await server.start()

    connection = await connect(url)
    backend = await connection.fetchval("SELECT pg_backend_pid()")

    assert is_ours(Home(home), postmaster_pid(Home(home)))
    assert is_ours(Home(home), backend)
    assert not is_ours(Home(home), os.getpid())
    await connection.close()
