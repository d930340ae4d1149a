"""Looking for requests that were answered."""

from backend.app.database import Database
from backend.app.errors import Unprocessable
from backend.app.repositories.request_log_repository import RequestLogRepository
from backend.app.schemas.request_log_schemas import (
    AnsweredRequest,
    RequestLogPage,
    RequestPlace,
    RequestQuery,
)


class RequestLogService:
    """Reads the log of requests. It is written a moment after the answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, wanted: RequestQuery) -> RequestLogPage:
        """Return the latest requests that match.

        Raises:
            Unprocessable: the cursor is none of this list.
        """
        before = _place(wanted.cursor)
        async with self._database.snapshot() as session:
            found = await RequestLogRepository(session).newest(wanted, before, wanted.limit + 1)
        shown = found[: wanted.limit]
        last = RequestPlace(shown[-1].at, shown[-1].id) if len(found) > wanted.limit else None
        return RequestLogPage(
            items=[AnsweredRequest.model_validate(each) for each in shown],
            next_cursor=None if last is None else last.shown(),
        )


def _place(cursor: str | None) -> RequestPlace | None:
    if cursor is None:
        return None
    try:
        return RequestPlace.read(cursor)
    except ValueError:
        raise Unprocessable("Look at: cursor.") from None
