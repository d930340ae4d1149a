"""Looking for events. Payloads are canonical, so a fragment of one is found without reading JSON.

There is no index beside the chain's own: four of them made an append four times as dear. A search
looks at a bounded part of the trail instead, and says where it stopped.
"""

from typing import Final

from sqlalchemy import ColumnElement, LargeBinary, and_, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_chain import CHAIN
from backend.app.models.audit_event import AuditEvent
from backend.app.repositories.audit_repository import StoredEvent
from backend.app.schemas.audit_schemas import AuditFilter

SCAN_EVENTS_MAX: Final = 100_000


class AuditSearch:
    """Finds events between two numbers of the one chain."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def newest(self, wanted: AuditFilter, *, before: int, limit: int) -> list[StoredEvent]:
        """Return the latest events before one, looking at a bounded number of them."""
        conditions = _conditions(wanted)
        return await self._found(
            conditions, before - SCAN_EVENTS_MAX, before, limit, downwards=True
        )

    async def newest_of(self, user_id: int, *, before: int, limit: int) -> list[StoredEvent]:
        """Return the latest events a user caused, or that concern what is that user's."""
        concerns = or_(_by(f"user:{user_id}"), _holds(f'"owner":{user_id},'))
        return await self._found(
            [concerns], before - SCAN_EVENTS_MAX, before, limit, downwards=True
        )

    async def oldest(self, wanted: AuditFilter, *, after: int, until: int) -> list[StoredEvent]:
        """Return the events after one, up to and with another, oldest first."""
        conditions = _conditions(wanted)
        return await self._found(conditions, after + 1, until + 1, until - after, downwards=False)

    async def _found(
        self,
        conditions: list[ColumnElement[bool]],
        first: int,
        end: int,
        limit: int,
        *,
        downwards: bool,
    ) -> list[StoredEvent]:
        order = AuditEvent.seq.desc() if downwards else AuditEvent.seq
        found = await self._session.execute(
            select(AuditEvent.seq, AuditEvent.at, AuditEvent.payload, AuditEvent.hash)
            .where(
                AuditEvent.chain == CHAIN,
                AuditEvent.seq >= first,
                AuditEvent.seq < end,
                *conditions,
            )
            .order_by(order)
            .limit(limit)
        )
        return [StoredEvent(*row) for row in found]


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    conditions = []
    if wanted.act is not None:
        conditions.append(_begins(f'{{"act":"{wanted.act}",'))
    if wanted.actor is not None:
        conditions.append(_by(wanted.actor))
    if wanted.object is not None:
        conditions.append(_to(wanted.object))
    if wanted.since is not None:
        conditions.append(AuditEvent.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(AuditEvent.at < wanted.until)
    return conditions


def _by(actor: str) -> ColumnElement[bool]:
    kind, _, name = actor.partition(":")
    return and_(
        *([_holds(f'"actor":{{"id":{_literal(name)},')] if name else []),
        # The type is the last member of an actor, and the time comes next.
        _holds(f'"type":"{kind}"}},"at":'),
    )


def _to(thing: str) -> ColumnElement[bool]:
    kind, _, name = thing.partition(":")
    return and_(
        *([_holds(f'"object":{{"id":{_literal(name)},')] if name else []),
        _holds(f'"type":"{kind}"}},"outcome":'),
    )


def _literal(name: str) -> str:
    return name if name.isdecimal() else f'"{name}"'


def _begins(fragment: str) -> ColumnElement[bool]:
    sought = fragment.encode()
    return func.substring(AuditEvent.payload, 1, len(sought)) == literal(sought, LargeBinary)


def _holds(fragment: str) -> ColumnElement[bool]:
    # Of bytes: PostgreSQL's `position` compares them as they are, in every encoding.
    sought = literal(fragment.encode(), LargeBinary)
    return func.position(sought.op("IN")(AuditEvent.payload)) > 0
