"""A private file appears whole and for nobody else, or not at all."""

import stat
from contextlib import suppress
from pathlib import Path

import pytest

from backend.app.commands.private_file import new_private_file
from backend.app.errors import ConfigurationError


def test_it_appears_when_it_is_whole_and_is_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "new"

    with new_private_file(path) as file:
        file.write(b"content")
        (unfinished,) = tmp_path.iterdir()
        assert unfinished != path
        assert stat.S_IMODE(unfinished.stat().st_mode) == 0o600

    assert path.read_bytes() == b"content"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_went_wrong_on_the_way_leaves_nothing(tmp_path: Path) -> None:
    with suppress(ZeroDivisionError), new_private_file(tmp_path / "new") as file:
        file.write(b"content")
        raise ZeroDivisionError

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("meanwhile", [False, True])
def test_nothing_is_overwritten_not_even_what_came_meanwhile(
    tmp_path: Path, meanwhile: bool
) -> None:
    path = tmp_path / "new"
    if not meanwhile:
        path.write_text("precious")

    with pytest.raises(ConfigurationError, match="is there already"), new_private_file(path):
        path.write_text("precious")

    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_that_leads_nowhere_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "new"
    path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ConfigurationError, match="is there already"), new_private_file(path):
        pass

    assert not (tmp_path / "elsewhere").exists()


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigurationError, match=r"cannot be written \(No such file"),
        new_private_file(tmp_path / "absent" / "new"),
    ):
        pass
