"""SQL for the log of requests: written in bulk, searched by a few members."""

from collections.abc import Sequence
from typing import Final

import asyncpg
from sqlalchemy import ColumnElement, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.models.api_request_log import ApiRequestLog
from backend.app.request_entry import RequestEntry
from backend.app.schemas.request_log_schemas import RequestFilter, RequestPlace

_TABLE: Final = ApiRequestLog.__tablename__


async def write_requests(connection: asyncpg.Connection, entries: Sequence[RequestEntry]) -> None:
    """Write entries by COPY, all of them or none."""
    await connection.copy_records_to_table(_TABLE, records=entries, columns=RequestEntry._fields)


class RequestLogRepository:
    """The requests that were answered."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def newest(
        self, wanted: RequestFilter, before: RequestPlace | None, rows_max: int
    ) -> Sequence[ApiRequestLog]:
        """Return the latest requests that match, before a place in the log."""
        found = select(ApiRequestLog).where(*_conditions(wanted))
        if before is not None:
            found = found.where(
                ApiRequestLog.at <= before.at,
                tuple_(ApiRequestLog.at, ApiRequestLog.id) < (before.at, before.id),
            )
        ordered = found.order_by(ApiRequestLog.at.desc(), ApiRequestLog.id.desc())
        return (await self._session.scalars(ordered.limit(rows_max))).all()


def _conditions(wanted: RequestFilter) -> list[ColumnElement[bool]]:
    equal = {
        ApiRequestLog.user_id: wanted.user_id,
        ApiRequestLog.request_id: wanted.request_id,
        ApiRequestLog.method: wanted.method,
        ApiRequestLog.route: wanted.route,
        ApiRequestLog.status: wanted.status,
        ApiRequestLog.address: wanted.address,
    }
    conditions = [column == value for column, value in equal.items() if value is not None]
    if wanted.since is not None:
        conditions.append(ApiRequestLog.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(ApiRequestLog.at < wanted.until)
    return conditions
