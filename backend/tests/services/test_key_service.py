"""What an operator does with root keys, and what he is refused."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from backend.app.audit_record import SYSTEM
from backend.app.database import Database
from backend.app.errors import ConfigurationError, KeyInUse, KeyNotAtHand, KeyRetired, KeyUnknown
from backend.app.ids import new_id
from backend.app.models.kek import KekState
from backend.app.repositories.kek_repository import KekRepository
from backend.app.repositories.key_rewrap_repository import KeyRewrapRepository
from backend.app.schemas.key_schemas import RotationProgress
from backend.app.services.key_rewrap import KeyRewrapping
from backend.app.services.key_ring import KeyRing
from backend.app.services.key_service import DESTROYED_AFTER, KeyService
from backend.tests.support.vault_keys import add_data_keys, new_key, now, start

OLD, NEW = new_key("old"), new_key("new")


@pytest.fixture
async def keys(database: Database) -> KeyService:
    await start(database, OLD)
    return KeyService(database, await start(database, f"{NEW},{OLD}"), now)


async def test_the_list_says_what_there_is_to_know_and_no_key(
    database: Database, keys: KeyService
) -> None:
    new, old = sorted(await keys.list(), key=lambda key: key.kid)

    assert (new.state, old.state) == (KekState.ACTIVE, KekState.DECRYPT_ONLY)
    assert (new.data_keys, old.data_keys) == (0, 1)
    assert new.at_hand
    assert new.held_by == ["one"]
    assert new.lacked_by == []
    assert NEW.partition(":")[2] not in repr(new)


async def test_a_key_of_another_name_or_content_is_not_at_hand(
    database: Database, keys: KeyService
) -> None:
    stranger = KeyService(database, KeyRing.from_environment(new_key("old")), now)

    assert not any(key.at_hand for key in await stranger.list())
    with pytest.raises(KeyNotAtHand):
        await stranger.rotate("old", SYSTEM)


async def test_a_key_nobody_started_with_is_unknown(keys: KeyService) -> None:
    with pytest.raises(KeyUnknown, match="start each again"):
        await keys.rotate("never", SYSTEM)
    with pytest.raises(KeyUnknown):
        await keys.retire("never", SYSTEM)


async def test_the_key_that_seals_or_is_needed_cannot_be_retired(keys: KeyService) -> None:
    with pytest.raises(KeyInUse, match="Rotate to another first"):
        await keys.retire("new", SYSTEM)
    with pytest.raises(KeyInUse, match="1 data keys lie under old"):
        await keys.retire("old", SYSTEM)


async def test_the_goal_of_a_rewrap_cannot_be_retired(database: Database, keys: KeyService) -> None:
    async with database.transaction() as session:
        await KeyRewrapRepository(session).begin(
            from_kid="old", to_kid="new", total=1, holder=new_id()
        )
    await keys.rotate("old", SYSTEM)

    with pytest.raises(KeyInUse, match="A rewrap moves data keys to new"):
        await keys.retire("new", SYSTEM)


async def test_a_retired_key_seals_no_more(database: Database, keys: KeyService) -> None:
    await keys.rotate("old", SYSTEM)
    await keys.retire("new", SYSTEM)
    await keys.retire("new", SYSTEM)

    with pytest.raises(KeyRetired):
        await keys.rotate("new", SYSTEM)
    async with database.snapshot() as session:
        kek = {kek.kid: kek for kek in await KekRepository(session).list()}["new"]
    assert (kek.state, kek.retired_at) == (KekState.RETIRED, now())


async def test_exactly_one_key_is_active_whatever_is_done(
    database: Database, keys: KeyService
) -> None:
    for kid in ("old", "new", "new", "old"):
        await keys.rotate(kid, SYSTEM)
        states = [key.state for key in await keys.list()]
        assert states.count(KekState.ACTIVE) == 1


async def test_without_a_rewrap_there_is_nothing_to_tell(keys: KeyService) -> None:
    assert await keys.rotation() == RotationProgress()


async def test_more_data_keys_are_counted(database: Database, keys: KeyService) -> None:
    await add_data_keys(database, KeyRing.from_environment(NEW), 3)

    assert {key.kid: key.data_keys for key in await keys.list()} == {"old": 1, "new": 3}


async def retired(database: Database) -> None:
    """Rotate from old to new, and take the old one out of use."""
    ring = KeyRing.from_environment(f"{NEW},{OLD}")
    keys = KeyService(database, ring, now)
    await keys.rotate("new", SYSTEM)
    async for _ in KeyRewrapping(database, ring, now).run(SYSTEM):
        pass
    await keys.retire("old", SYSTEM)
    async with database.transaction() as session:
        await session.execute(text("DELETE FROM instance_keys"))


def without_old(database: Database, later: timedelta = DESTROYED_AFTER) -> KeyService:
    return KeyService(database, KeyRing.from_environment(NEW), lambda: now() + later)


async def test_a_retired_key_can_be_destroyed_when_its_time_has_come(
    database: Database, keys: KeyService
) -> None:
    await retired(database)
    service = without_old(database)

    doomed = await service.doomed("old")
    await service.destroy("old", SYSTEM)
    again = await service.destroy("old", SYSTEM)
    await service.retire("old", SYSTEM)

    assert (doomed.retired_at, doomed.destroyed_at) == (now(), None)
    assert again.destroyed_at == now() + DESTROYED_AFTER
    states = {key.kid: key.state for key in await service.list()}
    assert states == {"old": KekState.DESTROYED, "new": KekState.ACTIVE}
    async with database.snapshot() as session:
        payloads = await session.scalars(text("SELECT payload FROM audit_events"))
        assert sum(b'"key.destroyed"' in payload for payload in payloads) == 1


async def test_a_key_that_may_still_be_needed_is_not_destroyed(
    database: Database, keys: KeyService
) -> None:
    with pytest.raises(KeyInUse, match="old is decrypt_only"):
        await keys.destroy("old", SYSTEM)
    await retired(database)

    with pytest.raises(KeyInUse, match="still configured here"):
        await KeyService(database, KeyRing.from_environment(f"{NEW},{OLD}"), now).destroy(
            "old", SYSTEM, early=True
        )
    with pytest.raises(KeyInUse, match="Wait until 2026-12-31, or say --early"):
        await without_old(database, timedelta(days=39)).destroy("old", SYSTEM)
    with pytest.raises(KeyUnknown):
        await without_old(database).destroy("never", SYSTEM)
    states = {key.kid: key.state for key in await keys.list()}
    assert states["old"] == KekState.RETIRED
    await without_old(database, timedelta(0)).destroy("old", SYSTEM, early=True)


async def test_no_start_takes_a_destroyed_key_again(database: Database, keys: KeyService) -> None:
    await retired(database)
    await without_old(database).destroy("old", SYSTEM)

    with pytest.raises(ConfigurationError, match="seals no more"):
        await start(database, f"{OLD},{NEW}")
