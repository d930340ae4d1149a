"""Ids in paths: what PostgreSQL's bigint can hold, so that a longer number is refused politely."""

from typing import Annotated, Final

from fastapi import Path

ROW_ID_MAX: Final = 2**63 - 1

RowId = Annotated[int, Path(ge=1, le=ROW_ID_MAX)]
