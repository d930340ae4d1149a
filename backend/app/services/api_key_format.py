"""The form of a platform key: `srk_<8 id>_<43 secret><6 checksum>`.

Prefix and checksum let a scanner of repositories and logs recognise a leaked key offline, without
false alarms, and let us refuse a mistyped one without asking the database. The checksum is no
protection: anybody can compute it.

Source: docs/ARCHITECTURE.md, "Platform keys".
"""

import re
import secrets
import string
from typing import Final, NamedTuple
from zlib import crc32

from backend.app.ids import new_token

KEY_PREFIX: Final = "srk_"
SIGNING_SECRET_PREFIX: Final = "srs_"  # noqa: S105 - how one begins
KEY_ID_FORM: Final = r"[0-9A-Za-z]{8}"
KEY_FORM: Final = re.compile(rf"(srk_({KEY_ID_FORM})_([0-9A-Za-z_-]{{43}}))([0-9A-Za-z]{{6}})")

_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_KEY_ID_LENGTH: Final = 8
_CHECKSUM_LENGTH: Final = 6


class KeyParts(NamedTuple):
    """What a key says: which one it is, and the proof."""

    key_id: str
    secret: str


def new_key_id() -> str:
    """Return a random name for a key; it is no secret."""
    return "".join(secrets.choice(_DIGITS) for _ in range(_KEY_ID_LENGTH))


def new_secret() -> str:
    """Return the 256 random bits of a key as 43 characters."""
    return new_token(32)


def new_signing_secret() -> str:
    """Return a secret that signs requests, in a form of its own that scanners recognise."""
    return SIGNING_SECRET_PREFIX + new_token(32)


def written_key(parts: KeyParts) -> str:
    """Return the whole key, with its checksum."""
    unchecked = f"{KEY_PREFIX}{parts.key_id}_{parts.secret}"
    return unchecked + checksum(unchecked)


def parse_key(text: str) -> KeyParts | None:
    """Return what a key says, or None if it was never issued by us: mistyped, cut off, foreign."""
    match = KEY_FORM.fullmatch(text)
    if match is None:
        return None
    unchecked, key_id, secret, given = match.groups()
    return KeyParts(key_id, secret) if given == checksum(unchecked) else None


def checksum(unchecked: str) -> str:
    """Return six characters that catch a mistyped text. They protect against nobody."""
    number, digits = crc32(unchecked.encode("ascii")), ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
