"""Write `.env` for docker compose from `.env.example`, with every secret freshly made.

Needs nothing but Python. An `.env` that exists is never touched: the vault's key may be in it.
"""

import os
import re
import secrets
import sys
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[1]
_PRIVATE_FILE: Final = 0o600
_EMPTY: Final = re.compile(r"^#([A-Z_]+)=$", re.MULTILINE)


def main() -> int:
    """Write the file where the command runs, and say so."""
    target = Path(".env").absolute()
    text = filled((_ROOT / ".env.example").read_text())
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)
    except FileExistsError:
        print(f"make_env: {target} exists and was not touched.", file=sys.stderr)
        return 1
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    print(f"Wrote {target}. Keep a copy of ENCRYPTION_KEY somewhere safe, apart from the database.")
    return 0


def filled(example: str) -> str:
    """Return the example with a value for each secret that compose needs."""
    made = new_secrets()
    return _EMPTY.sub(
        lambda line: f"{line[1]}={made[line[1]]}" if line[1] in made else line[0], example
    )


def new_secrets() -> dict[str, str]:
    """Make them of letters, digits, `-`, `_` and `=` only: some become part of an address."""
    return {
        "ENCRYPTION_KEY": urlsafe_b64encode(secrets.token_bytes(32)).decode("ascii"),
        "JWT_SECRET": secrets.token_urlsafe(48),
        "SANDBOX_SEED": secrets.token_urlsafe(32),
        "INTERNAL_API_KEY": secrets.token_urlsafe(48),
        "SETTLEMENT_TOKEN": secrets.token_urlsafe(48),
        "POSTGRES_PASSWORD": secrets.token_urlsafe(32),
        "VALKEY_PASSWORD": secrets.token_urlsafe(32),
        "PGADMIN_PASSWORD": secrets.token_urlsafe(24),
        "GRAFANA_PASSWORD": secrets.token_urlsafe(24),
    }


if __name__ == "__main__":
    raise SystemExit(main())
