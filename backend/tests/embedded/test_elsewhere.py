"""What cannot live in the home lives in a short private directory, and goes with the server."""

import os
import stat
from pathlib import Path

import pytest

from backend.app.embedded import EmbeddedPostgres
from backend.app.embedded.account import Account
from backend.app.embedded.elsewhere import Elsewhere
from backend.app.embedded.errors import SocketPathUnusable
from backend.app.embedded.home import Home
from backend.tests.support.embedded import ask, said, supervisor

pytestmark = pytest.mark.slow

_OURSELVES = Account(os.geteuid(), os.getegid(), dropped=False)


@pytest.mark.parametrize("name", ["d" * 120, "a,comma", "a:colon", "a b %20 ü ' $HOME"])
async def test_a_home_of_any_name_can_be_used(home: Path, name: str) -> None:
    odd = home.rename(home.with_name(name))
    server = EmbeddedPostgres(odd)

    assert await ask(await server.start(), "SELECT 1") == 1

    await server.stop()
    assert not (odd / "elsewhere").is_symlink()


async def test_the_directory_outside_is_private_and_goes_with_the_server(home: Path) -> None:
    deep = home.rename(home.with_name("d" * 120))
    server = EmbeddedPostgres(deep)
    await server.start()
    outside = (deep / "elsewhere").readlink()

    socket_directory = outside / "run"
    assert stat.S_IMODE(socket_directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(outside.stat().st_mode) & 0o066 == 0

    await server.stop()
    assert not outside.exists()


async def test_what_a_killed_run_left_outside_is_removed_by_the_next(home: Path) -> None:
    deep = home.rename(home.with_name("d" * 120))
    with supervisor(deep) as child:
        said(child)
        left = (deep / "elsewhere").readlink()
    assert left.exists()

    server = EmbeddedPostgres(deep)
    await server.start()
    assert not left.exists()
    await server.stop()


def test_a_directory_that_is_not_ours_is_never_removed(place: Path) -> None:
    precious = place / "precious"
    precious.mkdir()
    (place / "elsewhere").symlink_to(precious)

    Elsewhere(Home(place), _OURSELVES).remove()

    assert precious.exists()
    assert not (place / "elsewhere").is_symlink()


def test_no_short_directory_at_all_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = place / ("d" * 120)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))

    with pytest.raises(SocketPathUnusable, match="Set TMPDIR"):
        Elsewhere(Home(deep), _OURSELVES).socket_directory()
