"""Pages of the past, the newest first: how many rows, and before which one."""

from typing import Annotated, Final

from fastapi import Query

from backend.app.routes.path_ids import ROW_ID_MAX

PAGE_ITEMS_MAX: Final = 200
PAGE_ITEMS_DEFAULT: Final = 50
PLACE_CURSOR_LENGTH_MAX: Final = 39

Limit = Annotated[int, Query(ge=1, le=PAGE_ITEMS_MAX)]
Cursor = Annotated[
    int | None, Query(ge=1, le=ROW_ID_MAX, description="`next_cursor` of the last page")
]
PlaceCursor = Annotated[
    str | None,
    Query(max_length=PLACE_CURSOR_LENGTH_MAX, description="`next_cursor` of the last page"),
]
