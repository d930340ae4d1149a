"""Master keys: which are known, which is active, which are still needed."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import exc, text

from backend.app.database import Database
from backend.app.models.kek import Kek, KekState
from backend.app.repositories.dek_repository import DekRepository
from backend.app.repositories.kek_repository import KekRepository

AT = datetime(2026, 11, 21, tzinfo=UTC)


async def add(database: Database, *kids: str) -> None:
    async with database.transaction() as session:
        for place, kid in enumerate(kids):
            await KekRepository(session).add(
                kid=kid, provider="local", kcv=bytes(8), at=AT + timedelta(seconds=place)
            )


async def activate(database: Database, kid: str) -> bool:
    async with database.transaction() as session:
        return await KekRepository(session).activate(kid, AT)


async def listed(database: Database) -> dict[str, Kek]:
    async with database.snapshot() as session:
        return {kek.kid: kek for kek in await KekRepository(session).list()}


async def test_keys_are_listed_in_the_order_they_came(database: Database) -> None:
    await add(database, "b", "a")

    assert list(await listed(database)) == ["b", "a"]


async def test_a_new_key_waits_to_seal(database: Database) -> None:
    await add(database, "a")

    assert (await listed(database))["a"].state == KekState.PENDING


async def test_one_key_is_active_and_its_predecessor_only_opens(database: Database) -> None:
    await add(database, "old", "new")

    assert await activate(database, "old")
    assert await activate(database, "new")

    keks = await listed(database)
    assert keks["old"].state == KekState.DECRYPT_ONLY
    assert (keks["new"].state, keks["new"].activated_at) == (KekState.ACTIVE, AT)


async def test_the_active_key_is_not_activated_again(database: Database) -> None:
    await add(database, "a")
    await activate(database, "a")

    assert not await activate(database, "a")


async def test_a_key_is_in_use_until_its_last_data_key_is_shredded(database: Database) -> None:
    await add(database, "used", "unused")
    async with database.transaction() as session:
        await DekRepository(session).add(
            7, dek_id=UUID(int=1), kid="used", wrapped="kw1.local.used.t", kcv=bytes(8), at=AT
        )
        assert await KekRepository(session).kids_in_use() == {"used"}

    async with database.transaction() as session:
        await DekRepository(session).shred(7, UUID(int=1), AT)
        assert await KekRepository(session).kids_in_use() == frozenset()


async def test_a_second_start_waits_for_the_first(database: Database) -> None:
    async def start_without_patience() -> None:
        async with database.transaction() as session:
            await session.execute(text("SET LOCAL lock_timeout = '50ms'"))
            await KekRepository(session).lock()

    async with database.transaction() as session:
        await KekRepository(session).lock()
        with pytest.raises(exc.DBAPIError, match="lock timeout"):
            await start_without_patience()

    await start_without_patience()
