"""A trail for tests: filled quickly, tampered with as somebody who owns the tables could."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from backend.app.audit_chain import GENESIS, extended
from backend.app.audit_record import (
    Act,
    Actor,
    ActorType,
    AuditObject,
    AuditRecord,
    Caller,
    Outcome,
)
from backend.app.database import Database
from backend.app.repositories.audit_repository import SEQ_MIN, AuditRepository, StoredEvent

AT = datetime(2026, 11, 21, tzinfo=UTC)


def event(n: int = 0, user: int = 7, act: Act = Act.USER_CHANGED) -> AuditRecord:
    return AuditRecord(
        act=act,
        outcome=Outcome.DONE,
        caller=Caller(Actor(ActorType.USER, user, "3f" * 16), "0f" * 16, "192.0.2.1"),
        at=AT + timedelta(seconds=n),
        object=AuditObject("user", user, user),
        n=n,
    )


async def append(database: Database, *records: AuditRecord) -> None:
    async with database.transaction() as session:
        await AuditRepository(session).append(records)


async def trail(database: Database) -> list[StoredEvent]:
    async with database.snapshot() as session:
        return await AuditRepository(session).page_after(SEQ_MIN)


async def tampered(database: Database, *statements: str) -> None:
    """Do what the triggers forbid."""
    async with database.transaction() as session:
        for table in ("audit_events", "audit_anchors"):
            await session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        for statement in statements:
            await session.execute(text(statement))
        for table in ("audit_events", "audit_anchors"):
            await session.execute(
                text(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_only_grow")
            )


async def chained_anew(database: Database, payloads: list[bytes]) -> None:
    """Replace the whole trail by another that is sound in itself, its head included."""
    heads = extended(GENESIS, payloads)
    async with database.transaction() as session:
        await session.execute(text("ALTER TABLE audit_events DISABLE TRIGGER USER"))
        await session.execute(text("DELETE FROM audit_events"))
        for payload, head in zip(payloads, heads, strict=True):
            at = payload.partition(b'"at":"')[2][:27].decode()
            await session.execute(
                text(
                    "INSERT INTO audit_events (chain, seq, at, payload, hash) "
                    "VALUES ('main', :seq, CAST(CAST(:at AS text) AS timestamptz), :payload, :hash)"
                ),
                {"seq": head.seq, "at": at, "payload": payload, "hash": head.hash},
            )
        await session.execute(
            text("UPDATE audit_chain_heads SET seq = :seq, hash = :hash"),
            {"seq": heads[-1].seq, "hash": heads[-1].hash},
        )
