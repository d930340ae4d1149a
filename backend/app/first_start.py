"""The secrets of a new installation: made once, kept in one file that only its owner reads."""

import os
import secrets
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Final

from backend.app.errors import ConfigurationError

SECRETS_FILE: Final = "secrets.env"
_PRIVATE_FILE: Final = 0o600
_PRIVATE_DIRECTORY: Final = 0o700
_OTHERS: Final = 0o077
_HEADER: Final = (
    "# Made at the first start. Keep a copy somewhere safe and apart from the database:\n"
    "# without ENCRYPTION_KEY nothing in the vault can be opened again.\n"
)


def ensure_secrets(home: Path) -> Path:
    """Return the file with this installation's secrets, writing it if there is none.

    Raises:
        ConfigurationError: the file can be read by others, or cannot be written.
    """
    path = home / SECRETS_FILE
    try:
        home.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        _write_new(path)
    except FileExistsError:
        _refuse_if_others_read(path)
    except OSError as error:
        reason = error.strerror
        raise ConfigurationError(
            f"{home} cannot be used ({reason}). Set STRONGROOM_HOME to a directory you can write."
        ) from None
    return path


def _write_new(path: Path) -> None:
    """Write the file whole or not at all, also when the power goes in between."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(_HEADER)
            file.writelines(f"{name}={value}\n" for name, value in _new_secrets().items())
            file.flush()
            os.fsync(file.fileno())
        # A link, not a rename: it fails where another start was faster.
        os.link(draft, path)
    finally:
        draft.unlink()


def _new_secrets() -> dict[str, str]:
    return {
        "ENCRYPTION_KEY": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "JWT_SECRET": secrets.token_urlsafe(48),
        "SANDBOX_SEED": secrets.token_urlsafe(32),
        "INTERNAL_API_KEY": secrets.token_urlsafe(48),
        "SETTLEMENT_TOKEN": secrets.token_urlsafe(48),
    }


def _refuse_if_others_read(path: Path) -> None:
    if path.stat().st_mode & _OTHERS:
        raise ConfigurationError(f"{path} can be read by others. Close it first: chmod 600 {path}")
