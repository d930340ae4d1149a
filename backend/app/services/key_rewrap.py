"""Moving every data key under the root key that seals now, while everything runs.

A batch is read, unwrapped and wrapped anew with no transaction open, then written where what was
read still stands; place and counters change in the same statement. A run that is killed at any
moment has done whole batches, and the next run goes on behind the last one. Nothing that was
sealed is opened: what moves is the key, not what it opens.
"""

import asyncio
import hmac
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_record import Act, Caller
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.errors import KeyNotAtHand, RewrapRunning
from backend.app.ids import new_id
from backend.app.models.dek import Dek
from backend.app.models.key_rewrap import KeyRewrap, RewrapState
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.dek_repository import DekRepository
from backend.app.repositories.kek_repository import KekRepository
from backend.app.repositories.key_rewrap_repository import (
    LEASE,
    KeyRewrapRepository,
    Rewrapped,
)
from backend.app.schemas.key_schemas import RotationProgress
from backend.app.services.envelope import DekContext, EnvelopeError, key_check_value
from backend.app.services.key_instances import key_event
from backend.app.services.key_ring import KeyRing
from backend.app.services.key_service import progress_of

BATCH_KEYS: Final = 500
# So many questions at once to a key service, and so few milliseconds between two turns of the
# event loop where the root key is in memory.
_AT_ONCE: Final = 16
# Passes that moved nothing although keys are left: somebody holds their rows.
_IDLE_PASSES_MAX: Final = 25
_IDLE_SECONDS: Final = 0.2


class KeyRewrapping:
    """Rewraps what lies under any root key but the active one."""

    def __init__(
        self, database: Database, key_ring: KeyRing, now: Clock, batch_keys: int = BATCH_KEYS
    ) -> None:
        self._batch_keys = batch_keys
        self._database = database
        self._key_ring = key_ring
        self._now = now
        self._holder: UUID = new_id()

    async def run(self, caller: Caller) -> AsyncGenerator[RotationProgress, None]:
        """Move data keys until none is left to move, telling how far it is after every batch.

        The last word on each root key has the state `finished`; what failed does not open under
        the root key its row names, and `keys verify` says which.

        Raises:
            RewrapRunning: another process works on it.
            KeyNotAtHand: a root key that is needed is not configured here.
            VaultUnavailable: a key service went away; the next run goes on from there.
        """
        finished: set[str] = set()
        while (job := await self._begin(finished)) is not None:
            async with aclosing(self._through(job, caller)) as progress:
                async for told in progress:
                    yield told
            finished.add(job.from_kid)

    async def _begin(self, finished: set[str]) -> KeyRewrap | None:
        async with self._database.transaction() as session:
            keks, jobs = KekRepository(session), KeyRewrapRepository(session)
            await keks.lock()
            active = await keks.active()
            running = await jobs.running()
            if running is not None:
                if running.holder != self._holder and await jobs.is_leased(running):
                    raise RewrapRunning(
                        "Another process is rewrapping. If it was killed, try again in "
                        f"{LEASE.seconds} seconds.",
                        retry_after_seconds=LEASE.seconds,
                    )
                await jobs.take(running, self._holder)
                if running.to_kid == active:
                    self._refuse_absent(running.from_kid, running.to_kid)
                    return running
                await jobs.end(running, RewrapState.OVERTAKEN)
            left = sorted(await keks.kids_in_use() - finished - {active})
            if not left or active is None:
                return None
            self._refuse_absent(left[0], active)
            total = await DekRepository(session).count(left[0])
            return await jobs.begin(
                from_kid=left[0], to_kid=active, total=total, holder=self._holder
            )

    async def _through(
        self, job: KeyRewrap, caller: Caller
    ) -> AsyncGenerator[RotationProgress, None]:
        idle_passes, done_before = 0, job.done
        while True:
            rows = await self._read(job)
            if rows:
                await self._move(job, rows)
                yield progress_of(job)
                continue
            async with self._database.snapshot() as session:
                left = await DekRepository(session).count(job.from_kid)
            idle_passes = idle_passes + 1 if job.done == done_before else 0
            done_before = job.done
            if left <= job.failed or idle_passes > _IDLE_PASSES_MAX:
                break
            if idle_passes:
                await asyncio.sleep(_IDLE_SECONDS)
            await self._again(job, left)
        await self._end(job, caller)
        yield progress_of(job)

    async def _read(self, job: KeyRewrap) -> Sequence[Dek]:
        async with self._database.snapshot() as session:
            return await DekRepository(session).page(job.from_kid, job.cursor, self._batch_keys)

    async def _move(self, job: KeyRewrap, rows: Sequence[Dek]) -> None:
        rewrapped: list[Rewrapped] = []
        some = iter(rows)
        while several := list(islice(some, _AT_ONCE)):
            tried = await asyncio.gather(*(self._rewrapped(row, job.to_kid) for row in several))
            rewrapped += [one for one in tried if one is not None]
        failed = len(rows) - len(rewrapped)
        async with self._database.transaction() as session:
            jobs = KeyRewrapRepository(session)
            _refuse_lost(await jobs.advance(job, rewrapped, failed, rows[-1].dek_id))
            await _refresh(session, job)

    async def _rewrapped(self, row: Dek, to_kid: str) -> Rewrapped | None:
        old = row.wrapped or ""
        try:
            dek = await self._key_ring.unwrap(old, DekContext(row.kid, row.dek_id, row.owner_id))
        except EnvelopeError:
            return None
        if not hmac.compare_digest(key_check_value(dek), row.kcv):
            return None
        new = await self._key_ring.wrap(dek, DekContext(to_kid, row.dek_id, row.owner_id))
        return Rewrapped(row.dek_id, old, new)

    async def _again(self, job: KeyRewrap, left: int) -> None:
        async with self._database.transaction() as session:
            _refuse_lost(await KeyRewrapRepository(session).begin_pass(job, left))
            await _refresh(session, job)

    async def _end(self, job: KeyRewrap, caller: Caller) -> None:
        async with self._database.transaction() as session:
            ended = await KeyRewrapRepository(session).end(job, RewrapState.FINISHED)
            _refuse_lost(ended)
            await _refresh(session, job)
            event = key_event(Act.KEY_REWRAPPED, job.from_kid, caller, self._now, job.done)
            await AuditRepository(session).append([event])

    def _refuse_absent(self, *kids: str) -> None:
        absent = [kid for kid in kids if self._key_ring.get(kid) is None]
        if absent:
            raise KeyNotAtHand(f"The root key {absent[0]} is not in the configuration read here.")


async def _refresh(session: AsyncSession, job: KeyRewrap) -> None:
    """Read the counters as the statement left them."""
    stored = await session.get_one(KeyRewrap, job.id)
    for name in ("cursor", "total", "done", "failed", "state", "updated_at"):
        setattr(job, name, getattr(stored, name))


def _refuse_lost(ours: bool) -> None:
    if not ours:
        raise RewrapRunning("Another process has taken this rewrap over.")
