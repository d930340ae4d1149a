"""What the file system said becomes a refusal with a way out."""

import errno
from pathlib import Path

import pytest

from backend.app.embedded.errors import DiskFull, EmbeddedPostgresError, HomeUnusable
from backend.app.embedded.home import Home, refusal_for


@pytest.mark.parametrize(
    ("number", "refusal"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EACCES, HomeUnusable),
        (errno.EROFS, HomeUnusable),
    ],
)
def test_an_error_of_the_file_system_is_a_refusal(
    number: int, refusal: type[EmbeddedPostgresError]
) -> None:
    assert isinstance(refusal_for(OSError(number, "foreign words"), Path("/home")), refusal)


def test_a_refusal_names_the_directory_and_not_the_librarys_words() -> None:
    said = str(refusal_for(OSError(errno.EACCES, "foreign words"), Path("/somewhere")))

    assert "/somewhere" in said
    assert "foreign" not in said


def test_a_lock_file_that_is_a_link_is_refused(place: Path) -> None:
    (place / "victim").touch()
    (place / "supervisor.lock").symlink_to(place / "victim")

    with pytest.raises(HomeUnusable):
        Home(place).prepare()


def test_a_password_stays_the_same_once_made(place: Path) -> None:
    assert Home(place).password() == Home(place).password()
    assert len(Home(place).password()) >= 43
