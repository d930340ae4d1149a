"""Places in lists that are ordered by two ids: `12.34` as a cursor."""

import re
from typing import Final

from backend.app.errors import BadRequest

_PLACE: Final = re.compile(r"([0-9]{1,19})\.([0-9]{1,19})")
_ID_MAX: Final = 2**63 - 2


def cursor_of(first: int, second: int) -> str:
    """Return the cursor of a place."""
    return f"{first}.{second}"


def place_of(cursor: str | None) -> tuple[int, int] | None:
    """Return the place a cursor names.

    Raises:
        BadRequest: it is none of ours.
    """
    if cursor is None:
        return None
    parts = _PLACE.fullmatch(cursor)
    if parts is None or max(place := (int(parts[1]), int(parts[2]))) > _ID_MAX:
        raise BadRequest("This cursor is not one of ours.")
    return place
