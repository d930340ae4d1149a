"""Data keys: found by their owner only, and gone for good once shredded."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import exc

from backend.app.database import Database
from backend.app.models.dek import Dek
from backend.app.repositories.dek_repository import DekRepository
from backend.app.repositories.kek_repository import KekRepository

AT = datetime(2026, 11, 21, tzinfo=UTC)
ALICE, BOB = 7, 8
FIRST, SECOND, BOBS = UUID(int=1), UUID(int=2), UUID(int=3)


@pytest.fixture(autouse=True)
async def _a_master_key(database: Database) -> None:
    async with database.transaction() as session:
        await KekRepository(session).add(kid="k1", provider="local", kcv=bytes(8), at=AT)


async def add(
    database: Database, owner_id: int, dek_id: UUID, credential_id: int | None = None
) -> None:
    async with database.transaction() as session:
        await DekRepository(session).add(
            owner_id,
            dek_id=dek_id,
            kid="k1",
            wrapped="kw1.local.k1.token",
            kcv=bytes(8),
            at=AT,
            credential_id=credential_id,
        )


async def find(database: Database, owner_id: int, dek_id: UUID) -> Dek | None:
    async with database.snapshot() as session:
        return await DekRepository(session).find(owner_id, dek_id)


async def test_a_data_key_is_found_by_its_owner_only(database: Database) -> None:
    await add(database, ALICE, FIRST)

    assert (await find(database, ALICE, FIRST)) is not None
    assert (await find(database, BOB, FIRST)) is None


async def test_a_shredded_key_keeps_its_line_and_loses_what_opens(database: Database) -> None:
    await add(database, ALICE, FIRST, credential_id=42)

    async with database.transaction() as session:
        assert await DekRepository(session).shred(ALICE, FIRST, AT)

    row = await find(database, ALICE, FIRST)
    assert row is not None
    assert (row.wrapped, row.credential_id, row.shredded_at) == (None, None, AT)


async def test_a_key_is_shredded_once(database: Database) -> None:
    await add(database, ALICE, FIRST)

    async with database.transaction() as session:
        deks = DekRepository(session)
        assert [await deks.shred(ALICE, FIRST, AT), await deks.shred(ALICE, FIRST, AT)] == [
            True,
            False,
        ]


async def test_another_owner_cannot_shred_it(database: Database) -> None:
    await add(database, ALICE, FIRST)

    async with database.transaction() as session:
        assert not await DekRepository(session).shred(BOB, FIRST, AT)

    row = await find(database, ALICE, FIRST)
    assert row is not None
    assert row.wrapped is not None


async def test_a_successor_takes_the_place_of_a_shredded_key(database: Database) -> None:
    await add(database, ALICE, FIRST, credential_id=42)

    async with database.transaction() as session:
        await DekRepository(session).shred(ALICE, FIRST, AT)
    await add(database, ALICE, SECOND, credential_id=42)

    row = await find(database, ALICE, SECOND)
    assert row is not None
    assert row.credential_id == 42


async def test_a_credential_has_one_key_at_a_time(database: Database) -> None:
    await add(database, ALICE, FIRST, credential_id=42)

    with pytest.raises(exc.IntegrityError, match="uq_deks_credential_id"):
        await add(database, ALICE, SECOND, credential_id=42)


async def test_an_owner_who_leaves_takes_all_keys_along(database: Database) -> None:
    await add(database, ALICE, FIRST)
    await add(database, ALICE, SECOND)
    await add(database, BOB, BOBS)

    async with database.transaction() as session:
        assert await DekRepository(session).shred_all(ALICE, AT) == 2

    kept = await find(database, BOB, BOBS)
    assert kept is not None
    assert kept.wrapped is not None
