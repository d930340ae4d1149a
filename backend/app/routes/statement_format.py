"""Statements as JSON or CSV, a page at a time."""

from typing import Annotated, Any, Final

from fastapi import Query, Response

from backend.app.schemas.merchant_schemas import Statement, StatementFormat, StatementQuery
from backend.app.services.ledger.entries import as_csv

Wanted = Annotated[StatementQuery, Query()]

# For CSV the cursor has no place but a header.
NEXT_CURSOR_HEADER: Final = "X-Next-Cursor"
CSV_TOO: Final[dict[str, Any]] = {"content": {"text/csv": {"schema": {"type": "string"}}}}


def written(page: Statement, form: StatementFormat) -> Response:
    """Return a page of a statement in the form asked for."""
    headers = {"Cache-Control": "no-store"}
    if page.next_cursor is not None:
        headers[NEXT_CURSOR_HEADER] = page.next_cursor
    if form is StatementFormat.CSV:
        return Response(as_csv(page.items), media_type="text/csv; charset=utf-8", headers=headers)
    return Response(page.model_dump_json(), media_type="application/json", headers=headers)
