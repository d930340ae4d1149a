"""SQL for the watch. It goes through everybody's credentials and reads no more than whose they are.

Nothing here waits for a row that somebody holds, and nothing commits.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.enums import Environment
from backend.app.models.api_credential import ApiCredential

_TABLE = ApiCredential.__table__


class Claimed(NamedTuple):
    """A credential that is ours to try."""

    owner_id: int
    credential_id: int
    exchange: str


class CredentialWatchRepository:
    """When the active credentials of one environment are tried next."""

    def __init__(self, session: AsyncSession, environment: Environment) -> None:
        self._session = session
        self._environment = environment

    async def unscheduled(self, exchange: str, latest: datetime, rows_max: int) -> Sequence[int]:
        """Hold credentials that have no time, or one beyond `latest`, and return their ids."""
        found = await self._session.scalars(
            select(ApiCredential.id)
            .where(
                *self._active(exchange),
                or_(ApiCredential.next_check_at.is_(None), ApiCredential.next_check_at > latest),
            )
            .limit(rows_max)
            .with_for_update(key_share=True, skip_locked=True)
        )
        return found.all()

    async def schedule(self, times: Mapping[int, datetime]) -> None:
        """Write when each of these credentials is tried next. The rows are held, or only one."""
        if not times:
            return
        # What the watch notes is no change of what the owner set: `updated_at` stays.
        statement = (
            update(ApiCredential)
            .where(_TABLE.c.id == bindparam("credential_id"))
            .values(next_check_at=bindparam("at"), updated_at=ApiCredential.updated_at)
        )
        connection = await self._session.connection()
        await connection.execute(
            statement, [{"credential_id": each, "at": at} for each, at in times.items()]
        )

    async def claim(
        self, exchange: str, now: datetime, until: datetime, rows_max: int
    ) -> Sequence[Claimed]:
        """Take what is due, the longest due first: until then it is due for nobody else."""
        due = (
            select(ApiCredential.id)
            .where(*self._active(exchange), ApiCredential.next_check_at <= now)
            .order_by(ApiCredential.next_check_at, ApiCredential.id)
            .limit(rows_max)
            .with_for_update(key_share=True, skip_locked=True)
            .cte("due")
        )
        taken = await self._session.execute(
            update(ApiCredential)
            .where(ApiCredential.id == due.c.id)
            .values(next_check_at=until, updated_at=ApiCredential.updated_at)
            .returning(ApiCredential.user_id, ApiCredential.id, ApiCredential.exchange_name)
            .execution_options(synchronize_session=False)
        )
        return [Claimed(*row) for row in taken]

    def _active(self, exchange: str) -> tuple[ColumnElement[Any], ...]:
        return (
            ApiCredential.environment == self._environment.value,
            ApiCredential.exchange_name == exchange,
            ApiCredential.is_active.is_(True),
        )
