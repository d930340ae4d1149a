"""SQL for moving data keys from one root key to another. Nothing here commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.models.key_rewrap import KeyRewrap, RewrapState

# Longer than any batch that goes well; a killed run's successor waits at most this long.
LEASE: Final = timedelta(seconds=5)

# One statement, so that keys, counters and place change together or not at all. A row somebody
# holds is left for a later pass: whoever waits for one row while holding others may wait forever.
# What was shredded or rewrapped meanwhile is not what was read, and stays as it is.
_ADVANCE: Final = text(
    """
    WITH given AS (
        SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:old AS text[]), CAST(:new AS text[]))
        AS given (dek_id, old, new)
    ), free AS (
        SELECT deks.dek_id FROM deks JOIN given USING (dek_id)
        WHERE deks.kid = :from_kid AND deks.wrapped = given.old
        FOR UPDATE OF deks SKIP LOCKED
    ), moved AS (
        UPDATE deks SET kid = :to_kid, wrapped = given.new FROM given JOIN free USING (dek_id)
        WHERE deks.dek_id = given.dek_id
        RETURNING deks.dek_id
    )
    UPDATE key_rewraps SET
        done = done + (SELECT count(*) FROM moved),
        failed = failed + :failed,
        cursor = :cursor,
        lease_until = now() + CAST(:lease AS interval),
        updated_at = now()
    WHERE id = :id AND holder = :holder AND state = 'running'
    RETURNING done
    """
)


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """One data key in its old form and its new one."""

    dek_id: UUID
    old: str
    new: str


class KeyRewrapRepository:
    """The jobs that move data keys."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def latest(self) -> KeyRewrap | None:
        """Return the job under way, or the last one there was."""
        found = await self._session.scalars(
            select(KeyRewrap).order_by(KeyRewrap.id.desc()).limit(1)
        )
        return found.one_or_none()

    async def running(self) -> KeyRewrap | None:
        """Return the job that is not finished."""
        found = await self._session.scalars(
            select(KeyRewrap).where(KeyRewrap.state == RewrapState.RUNNING).with_for_update()
        )
        return found.one_or_none()

    async def is_leased(self, job: KeyRewrap) -> bool:
        """Say whether somebody has worked on a job until just now."""
        still = await self._session.scalar(
            select(KeyRewrap.id).where(KeyRewrap.id == job.id, KeyRewrap.lease_until > func.now())
        )
        return still is not None

    async def begin(self, *, from_kid: str, to_kid: str, total: int, holder: UUID) -> KeyRewrap:
        """Write a new job."""
        now = func.now()
        job = KeyRewrap(
            from_kid=from_kid,
            to_kid=to_kid,
            total=total,
            done=0,
            failed=0,
            state=RewrapState.RUNNING,
            holder=holder,
            lease_until=now + LEASE,
            started_at=now,
            resumed_at=now,
            resumed_done=0,
            updated_at=now,
        )
        self._session.add(job)
        await self._session.flush()
        await self._session.refresh(job)
        return job

    async def take(self, job: KeyRewrap, holder: UUID) -> None:
        """Go on with a job somebody left; from now on that one can write nothing."""
        now = func.now()
        await self._session.execute(
            update(KeyRewrap)
            .where(KeyRewrap.id == job.id)
            .values(
                holder=holder,
                lease_until=now + LEASE,
                resumed_at=now,
                resumed_done=KeyRewrap.done,
                updated_at=now,
            )
        )
        await self._session.refresh(job)

    async def advance(
        self, job: KeyRewrap, rewrapped: Sequence[Rewrapped], failed: int, cursor: UUID
    ) -> bool:
        """Move a batch of data keys, and with it the job; False if the job is not ours any more."""
        advanced = await self._session.execute(
            _ADVANCE,
            {
                "ids": [one.dek_id for one in rewrapped],
                "old": [one.old for one in rewrapped],
                "new": [one.new for one in rewrapped],
                "from_kid": job.from_kid,
                "to_kid": job.to_kid,
                "failed": failed,
                "cursor": cursor,
                "lease": LEASE,
                "id": job.id,
                "holder": job.holder,
            },
        )
        return advanced.one_or_none() is not None

    async def begin_pass(self, job: KeyRewrap, left: int) -> bool:
        """Go through what is left from its beginning; False if the job is not ours any more."""
        return await self._change(
            job,
            cursor=None,
            failed=0,
            total=KeyRewrap.done + left,
            lease_until=func.now() + LEASE,
        )

    async def end(self, job: KeyRewrap, state: RewrapState) -> bool:
        """Write that a job is over; False if it is not ours any more."""
        return await self._change(job, state=state)

    async def _change(self, job: KeyRewrap, **values: object) -> bool:
        changed = await self._session.execute(
            update(KeyRewrap)
            .where(
                KeyRewrap.id == job.id,
                KeyRewrap.holder == job.holder,
                KeyRewrap.state == RewrapState.RUNNING,
            )
            .values(updated_at=func.now(), **values)
            .returning(KeyRewrap.id)
        )
        return changed.one_or_none() is not None
