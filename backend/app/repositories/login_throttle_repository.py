"""SQL for failed logins. Nothing here commits."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.models.login_throttle import LoginThrottle


class LoginThrottleRepository:
    """Counts of failed logins, by the keyed hash of a name."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, subject: bytes, at: datetime) -> LoginThrottle:
        """Return the count of this subject, held until the block ends; a new one starts at zero."""
        await self._session.execute(
            insert(LoginThrottle)
            .values(subject=subject, failures=0, attempted_at=at, delayed_until=at)
            .on_conflict_do_nothing()
        )
        found = await self._session.execute(
            select(LoginThrottle).where(LoginThrottle.subject == subject).with_for_update()
        )
        return found.scalar_one()

    async def clear(self, subject: bytes) -> None:
        """Forget the failures of this subject."""
        await self._session.execute(delete(LoginThrottle).where(LoginThrottle.subject == subject))

    async def delete_quiet(self, before: datetime, rows_max: int) -> int:
        """Delete counts untouched since this moment, a bounded number at a time."""
        quiet = (
            select(LoginThrottle.subject)
            .where(LoginThrottle.attempted_at < before)
            .limit(rows_max)
            # A login that runs right now keeps its row.
            .with_for_update(skip_locked=True)
        )
        gone = await self._session.execute(
            delete(LoginThrottle)
            .where(LoginThrottle.subject.in_(quiet))
            .returning(LoginThrottle.subject)
        )
        return len(gone.all())
