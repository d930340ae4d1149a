"""The watch: tries every active credential again on a schedule, so that nobody learns it too late.

A key is claimed by moving its time forward in a short block; then no block is open while its
exchange answers. A claim that comes to nothing lapses, and the key is due again. What a verdict
does to a key is the credential service's business; the watch decides only when to ask.
"""

import asyncio
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Final

from backend.app.audit_record import SYSTEM
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.enums import Environment
from backend.app.errors import (
    CredentialChanged,
    CredentialNotFound,
    CredentialUnreadable,
    ExchangeThrottled,
    ExchangeUnreachable,
)
from backend.app.exchanges.registry import SUPPORTED
from backend.app.logs import logger
from backend.app.repositories.credential_watch_repository import Claimed, CredentialWatchRepository
from backend.app.services.credential_service import CredentialService
from backend.app.workers.watch_pace import Outcome, Pace, Schedule

PURPOSE: Final = "watch"
# No shorter than the longest check takes, and how soon a key is tried again that told nothing.
CLAIM_LASTS: Final = timedelta(hours=1)
# Of all exchanges together: the requests of people need connections to the database too.
CHECKS_AT_ONCE_MAX: Final = 16
SCHEDULED_PER_ROUND_MAX: Final = 200
_LOG = logger(__name__)


class CredentialWatch:
    """Tries due keys, a few of each exchange a tick: with the pause, at most 60 a minute."""

    name = "credential-watch"
    interval_seconds = 5.0

    def __init__(
        self,
        database: Database,
        credentials: CredentialService,
        environment: Environment,
        interval: timedelta,
        now: Clock,
    ) -> None:
        self._database = database
        self._credentials = credentials
        self._environment = environment
        self._schedule = Schedule(interval)
        self._now = now
        self._paces = {exchange: Pace() for exchange in SUPPORTED}
        self._places = asyncio.Semaphore(CHECKS_AT_ONCE_MAX)

    async def tick(self) -> None:
        """Draw times for new keys, then try those that are due, within each exchange's budget."""
        claimed = await self._claim(self._now())
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [(key.exchange, group.create_task(self._try(key))) for key in claimed]
        except ExceptionGroup as trouble:
            # The house's own (database, audit, vault): the first says enough, the rest can wait.
            raise trouble.exceptions[0] from None
        told: dict[str, list[Outcome]] = defaultdict(list)
        for exchange, task in tasks:
            told[exchange].append(task.result())
        for exchange, outcomes in told.items():
            self._paces[exchange].learn(outcomes, self._now())

    async def close(self) -> None:
        """Hold nothing; what was claimed and not tried is due again when its claim lapses."""

    async def _claim(self, now: datetime) -> list[Claimed]:
        claimed: list[Claimed] = []
        async with self._database.transaction() as session:
            watched = CredentialWatchRepository(session, self._environment)
            for exchange, pace in self._paces.items():
                new = await watched.unscheduled(
                    exchange, self._schedule.latest(now), SCHEDULED_PER_ROUND_MAX
                )
                await watched.schedule({each: self._schedule.first(each, now) for each in new})
                if keys_max := pace.keys_max(now):
                    claimed += await watched.claim(exchange, now, now + CLAIM_LASTS, keys_max)
        return claimed

    async def _try(self, key: Claimed) -> Outcome:
        async with self._places:
            outcome = await self._verify(key)
            if outcome is Outcome.TOLD:
                await self._done(key)
        return outcome

    async def _verify(self, key: Claimed) -> Outcome:
        try:
            await self._credentials.verify(key.owner_id, key.credential_id, SYSTEM, PURPOSE)
        except ExchangeThrottled:
            return Outcome.THROTTLED
        except ExchangeUnreachable:
            return Outcome.SILENT
        except (CredentialChanged, CredentialNotFound):
            return Outcome.NOT_TRIED
        except CredentialUnreadable:
            # On record as a failed use; the other keys have nothing to do with it.
            _LOG.warning("credential_unreadable", credential_id=key.credential_id)
            return Outcome.NOT_TRIED
        return Outcome.TOLD

    async def _done(self, key: Claimed) -> None:
        at = self._schedule.next(key.credential_id, self._now())
        async with self._database.transaction() as session:
            watched = CredentialWatchRepository(session, self._environment)
            await watched.schedule({key.credential_id: at})
