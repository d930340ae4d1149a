"""Reading the audit trail. Whoever reads what others did is recorded; one's own is one's own."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final

from pydantic import ValidationError

from backend.app.audit_record import SYSTEM, Act, ActorType, AuditRecord, Caller, Outcome
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.repositories.audit_repository import AuditRepository, StoredEvent
from backend.app.repositories.audit_search import SCAN_EVENTS_MAX, AuditSearch
from backend.app.schemas.audit_schemas import (
    AuditActor,
    AuditEventShown,
    AuditFilter,
    AuditPage,
    AuditPlace,
    AuditQuery,
)
from backend.app.services.principal import Principal

EXPORT_PAGE_EVENTS: Final = 5_000
_SEQ_MAX: Final = 2**63 - 1
_UNREADABLE: Final = "unreadable"


class AuditTrailService:
    """The use cases of looking into the trail."""

    def __init__(self, database: Database, now: Clock) -> None:
        self._database = database
        self._now = now

    async def page(self, reader: Principal, wanted: AuditQuery) -> AuditPage:
        """Return the latest events, of everybody. That they were shown is recorded."""
        async with self._database.transaction() as session:
            trail = AuditRepository(session)
            before = min(wanted.cursor or _SEQ_MAX, (await trail.head()).seq + 1)
            found = await AuditSearch(session).newest(wanted, before=before, limit=wanted.limit)
            await trail.append([self._reading(reader.caller, "list", len(found))])
        return _page([_shown(event) for event in found], before, wanted.limit)

    async def own_page(self, person: Principal, wanted: AuditPlace) -> AuditPage:
        """Return the latest events that somebody caused, or that concern what is theirs."""
        async with self._database.snapshot() as session:
            head = await AuditRepository(session).head()
            before = min(wanted.cursor or _SEQ_MAX, head.seq + 1)
            found = await AuditSearch(session).newest_of(
                person.user_id, before=before, limit=wanted.limit
            )
        shown = [_as_seen_by(person.user_id, _shown(event)) for event in found]
        return _page(shown, before, wanted.limit)

    async def export(self, wanted: AuditFilter) -> AsyncIterator[list[StoredEvent]]:
        """Yield all events looked for, oldest first. That they were taken out is recorded first."""
        async with self._database.transaction() as session:
            head = await AuditRepository(session).head()
            await AuditRepository(session).append([self._reading(SYSTEM, "export", None)])
        for after in range(0, head.seq, EXPORT_PAGE_EVENTS):
            until = min(after + EXPORT_PAGE_EVENTS, head.seq)
            async with self._database.snapshot() as session:
                yield await AuditSearch(session).oldest(wanted, after=after, until=until)

    def _reading(self, caller: Caller, purpose: str, count: int | None) -> AuditRecord:
        return AuditRecord(
            act=Act.AUDIT_READ,
            outcome=Outcome.DONE,
            caller=caller,
            at=self._now(),
            purpose=purpose,
            n=count,
        )


def _page(shown: list[AuditEventShown], begin: int, limit: int) -> AuditPage:
    # Numbers have no gaps, so what was looked at ends where the arithmetic says.
    reached = shown[-1].seq if len(shown) == limit else begin - SCAN_EVENTS_MAX
    return AuditPage(items=shown, next_cursor=str(reached) if reached > 1 else None)


def _shown(event: StoredEvent) -> AuditEventShown:
    told = facts_of(event.payload)
    stored = {"seq": event.seq, "at": event.at, "hash": event.hash.hex()}
    try:
        return AuditEventShown.model_validate({**told, **stored})
    except ValidationError:
        # Somebody wrote into the table. The reader sees which row; `audit verify` says the rest.
        unknown = AuditActor(type=_UNREADABLE)
        return AuditEventShown(**stored, act=_UNREADABLE, outcome=_UNREADABLE, actor=unknown)


def facts_of(payload: bytes) -> dict[str, Any]:
    """Return the members of a payload; none if it was tampered with beyond reading."""
    try:
        told = json.loads(payload)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _as_seen_by(user_id: int, event: AuditEventShown) -> AuditEventShown:
    """Hide where somebody else sat and in which session: that is theirs."""
    actor = event.actor
    is_own = actor.type == ActorType.ANONYMOUS or actor.id == user_id
    if is_own:
        return event
    bare = AuditActor(type=actor.type, id=actor.id)
    return event.model_copy(update={"actor": bare, "ip": None, "req": None})
