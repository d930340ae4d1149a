"""The way to a server that somebody else's supervisor runs: by its socket and its password file."""

import socket
from pathlib import Path

from sqlalchemy import URL

from backend.app.embedded.cluster import SERVICE_DATABASE, SERVICE_ROLE
from backend.app.embedded.home import Home

_SOCKET_NAME = ".s.PGSQL.5432"


def service_url(home: Home, socket_directory: Path) -> str:
    """Compose the URL the service connects with."""
    return URL.create(
        "postgresql+asyncpg",
        username=SERVICE_ROLE,
        password=home.password(),
        database=SERVICE_DATABASE,
        query={"host": str(socket_directory), "port": "5432"},
    ).render_as_string(hide_password=False)


def attached_url(root: Path) -> str | None:
    """Return the URL of the server that runs on this directory, or None if none does."""
    home = Home(root.absolute())
    places = [home.cluster / "run"]
    if home.elsewhere.is_symlink():
        places.append(home.elsewhere.readlink() / "run")
    for place in places:
        if home.password_file.exists() and _answers(place / _SOCKET_NAME):
            return service_url(home, place)
    return None


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
