"""Databases full of data keys, and what counts how often each was written."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import text

from backend.app.database import Database
from backend.app.ids import new_id
from backend.app.services.crypto_service import CryptoService
from backend.app.services.envelope import DekContext, key_check_value, wrap_dek
from backend.app.services.key_check import KeyCheck
from backend.app.services.key_instances import KeyInstances
from backend.app.services.key_ring import KeyRing
from backend.app.services.root_key import MasterKey

AT = datetime(2026, 11, 21, tzinfo=UTC)
OWNER = 7
_ADD = text(
    "INSERT INTO deks (dek_id, owner_id, kid, wrapped, kcv, created_at)"
    " SELECT dek_id, :owner, :kid, wrapped, kcv, :at FROM unnest(CAST(:ids AS uuid[]),"
    " CAST(:wrapped AS text[]), CAST(:kcvs AS bytea[])) AS given (dek_id, wrapped, kcv)"
)
_COUNT_WRITES = (
    "CREATE TABLE dek_writes (dek_id uuid NOT NULL, kid text NOT NULL)",
    """
    CREATE FUNCTION count_dek_write() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO dek_writes VALUES (NEW.dek_id, NEW.kid);
        RETURN NULL;
    END
    $$
    """,
    """
    CREATE TRIGGER count_dek_writes AFTER UPDATE ON deks
    FOR EACH ROW EXECUTE FUNCTION count_dek_write()
    """,
)


def now() -> datetime:
    return AT


def new_key(name: str) -> str:
    """Return a root key by name, as `ENCRYPTION_KEY` takes it."""
    return f"{name}:{CryptoService.generate_key()}"


async def start(database: Database, keys: str, instance: str = "one") -> KeyRing:
    """Do what an instance does with its root keys when it starts."""
    ring = KeyRing.from_environment(keys)
    instances = KeyInstances(ring, instance, now)
    await KeyCheck(database, ring, CryptoService(ring), instances, now).unlock()
    return ring


async def add_data_keys(database: Database, ring: KeyRing, count: int) -> dict[UUID, bytes]:
    """Write data keys under the key that seals, and return what each of them is."""
    key = ring.sealing
    assert isinstance(key, MasterKey)
    deks = {new_id(): bytes([n % 256]) + new_id().bytes * 2 for n in range(count)}
    deks = {dek_id: dek[:32] for dek_id, dek in deks.items()}
    wrapped = [wrap_dek(key.raw, DekContext(key.kid, i, OWNER), dek) for i, dek in deks.items()]
    async with database.transaction() as session:
        await session.execute(
            _ADD,
            {
                "owner": OWNER,
                "kid": key.kid,
                "at": AT,
                "ids": list(deks),
                "wrapped": wrapped,
                "kcvs": [key_check_value(dek) for dek in deks.values()],
            },
        )
    return deks


async def opened(database: Database, ring: KeyRing, ids: Iterable[UUID]) -> dict[UUID, bytes]:
    """Return the data keys as the database holds them now."""
    async with database.snapshot() as session:
        rows = await session.execute(
            text("SELECT dek_id, owner_id, kid, wrapped FROM deks WHERE dek_id = ANY(:ids)"),
            {"ids": list(ids)},
        )
    return {
        row.dek_id: await ring.unwrap(row.wrapped, DekContext(row.kid, row.dek_id, row.owner_id))
        for row in rows
    }


async def count_writes(database: Database) -> None:
    """From now on write down every change of a data key that is committed."""
    async with database.transaction() as session:
        for statement in _COUNT_WRITES:
            await session.execute(text(statement))


async def writes(database: Database) -> list[int]:
    """Return how often each data key was written, for those that were."""
    async with database.snapshot() as session:
        found = await session.scalars(text("SELECT count(*) FROM dek_writes GROUP BY dek_id"))
        return list(found)


async def kids(database: Database) -> Sequence[str]:
    """Return the names of the root keys that data keys lie under."""
    async with database.snapshot() as session:
        found = await session.scalars(
            text("SELECT DISTINCT kid FROM deks WHERE wrapped IS NOT NULL ORDER BY kid")
        )
        return found.all()
