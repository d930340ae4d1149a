"""Which account the server runs as. PostgreSQL refuses root, and we add no user."""

import os
import pwd
import sys
from dataclasses import dataclass
from pathlib import Path

from backend.app.embedded.errors import HomeUnusable, NoServerAccount

_ROOT_UID = 0
_FALLBACK_NAME = "nobody"


@dataclass(frozen=True)
class Account:
    """The account of the server; `dropped` when it is not our own."""

    uid: int
    gid: int
    dropped: bool

    def own(self, path: Path) -> None:
        """Give `path` to the account."""
        if self.dropped:
            os.chown(path, self.uid, self.gid)


def choose_account(ours: int, home: Path, cluster: Path) -> Account:
    """Say who runs the server for user `ours`: the same, or for root whoever owns the data.

    Raises:
        NoServerAccount: root, and there is nobody to become.
        HomeUnusable: the data belong to somebody else.
    """
    made = cluster.exists()
    owner = (cluster if made else home).stat().st_uid
    if ours == _ROOT_UID:
        return _account_below_root(owner)
    if made and owner != ours:
        raise HomeUnusable(
            f"{cluster} belongs to user {owner}, we are user {ours}."
            f" Run as that user, or give it to us: chown -R {ours} {home}"
        )
    if not _has_name(ours):
        raise NoServerAccount(
            f"User {ours} has no entry in /etc/passwd, and PostgreSQL needs one."
            " Add one, or use a PostgreSQL of your own: set DATABASE_URL."
        )
    return Account(ours, os.getegid(), dropped=False)


def _account_below_root(owner: int) -> Account:
    if sys.platform != "linux":
        raise NoServerAccount("PostgreSQL refuses to run as root. Run as an ordinary user.")
    try:
        found = (
            pwd.getpwuid(owner)
            if owner != _ROOT_UID and _has_name(owner)
            else pwd.getpwnam(_FALLBACK_NAME)
        )
    except KeyError:
        raise NoServerAccount(
            f"PostgreSQL refuses to run as root, and there is no user {_FALLBACK_NAME}."
            " Run as an ordinary user, or use a PostgreSQL of your own: set DATABASE_URL."
        ) from None
    return Account(found.pw_uid, found.pw_gid, dropped=True)


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
