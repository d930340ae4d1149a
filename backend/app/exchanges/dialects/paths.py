"""Which right each documented path needs. A path no table names is unlisted, never guessed."""

import re
from collections.abc import Iterable, Mapping

from backend.app.exchanges.wire import Right, WireRequest

# No leading dot: `..` is a way up, never an id.
_ID = r"[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,79}"
_PLACEHOLDER = re.compile(r"\\\{[a-z_]+\\\}")


class PathRights:
    """The rights of one exchange's paths, looked up by method and exact path.

    The table lists `METHOD /path` under each right; `{name}` stands for one path segment.
    """

    def __init__(self, table: Mapping[Right, Iterable[str]]) -> None:
        listed = [(entry, right) for right, entries in table.items() for entry in entries]
        self._exact = {entry: right for entry, right in listed if "{" not in entry}
        self._patterns = [
            (re.compile(_PLACEHOLDER.sub(lambda _: _ID, re.escape(entry))), right)
            for entry, right in listed
            if "{" in entry
        ]

    def of(self, request: WireRequest) -> Right:
        """Return the right for a request; UNLISTED where the table is silent."""
        asked = f"{request.method.upper()} {request.path}"
        if asked in self._exact:
            return self._exact[asked]
        for pattern, right in self._patterns:
            if pattern.fullmatch(asked):
                return right
        return Right.UNLISTED
