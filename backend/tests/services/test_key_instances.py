"""Rolling starts: nobody seals what somebody running could not open."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, update

from backend.app.audit_record import SYSTEM
from backend.app.database import Database
from backend.app.errors import ConfigurationError, KeyNotEverywhere, VaultUnavailable
from backend.app.ids import new_id
from backend.app.models.instance_key import InstanceKey
from backend.app.models.kek import KekState
from backend.app.repositories.dek_repository import DekRepository
from backend.app.repositories.instance_key_repository import LIVE_FOR
from backend.app.services.key_instances import KeyInstances
from backend.app.services.key_ring import KeyRing
from backend.app.services.key_service import KeyService
from backend.app.workers.instance_reporter import InstanceReporter
from backend.tests.support.vault_keys import AT, OWNER, new_key, now, start

OLD, NEW = new_key("old"), new_key("new")


async def states(database: Database) -> dict[str, str]:
    return {key.kid: key.state for key in await service(database).list()}


def service(database: Database, keys: str = f"{NEW},{OLD}") -> KeyService:
    return KeyService(database, KeyRing.from_environment(keys), now)


def reporter(database: Database, ring: KeyRing, instance: str) -> InstanceReporter:
    return InstanceReporter(database, KeyInstances(ring, instance, now))


async def fall_silent(database: Database, instance: str) -> None:
    async with database.transaction() as session:
        await session.execute(
            update(InstanceKey)
            .where(InstanceKey.instance == instance)
            .values(seen_at=func.now() - LIVE_FOR - timedelta(seconds=1))
        )


async def test_a_new_key_waits_until_the_last_instance_holds_it(database: Database) -> None:
    await start(database, OLD, "one")
    await start(database, OLD, "two")

    first = await start(database, f"{NEW},{OLD}", "one")
    assert first.sealing.kid == "old"
    assert await states(database) == {"old": KekState.ACTIVE, "new": KekState.PENDING}
    with pytest.raises(KeyNotEverywhere, match="two could not open"):
        await service(database).rotate("new", SYSTEM)

    second = await start(database, f"{NEW},{OLD}", "two")
    assert second.sealing.kid == "new"
    assert first.sealing.kid == "old"

    await reporter(database, first, "one").tick()
    assert first.sealing.kid == "new"
    assert await states(database) == {"old": KekState.DECRYPT_ONLY, "new": KekState.ACTIVE}


async def test_an_instance_that_fell_silent_holds_nobody_up(database: Database) -> None:
    await start(database, OLD, "one")
    await start(database, OLD, "killed")
    ring = await start(database, f"{NEW},{OLD}", "one")

    await fall_silent(database, "killed")
    await reporter(database, ring, "one").tick()

    assert ring.sealing.kid == "new"


async def test_an_instance_that_could_not_open_what_others_seal_is_refused(
    database: Database,
) -> None:
    await start(database, OLD, "one")
    await start(database, f"{NEW},{OLD}", "one")

    with pytest.raises(ConfigurationError, match="new is the one that seals"):
        await start(database, OLD, "late")


async def test_keys_in_another_order_do_not_take_turns(database: Database) -> None:
    await start(database, OLD, "one")
    await start(database, f"{NEW},{OLD}", "one")

    other = await start(database, f"{OLD},{NEW}", "two")

    assert other.sealing.kid == "new"
    assert await service(database, f"{OLD},{NEW}").rotate(None, SYSTEM) == "old"
    await reporter(database, other, "two").tick()
    assert other.sealing.kid == "old"


async def test_a_new_key_nobody_else_holds_is_left_behind(database: Database) -> None:
    await start(database, OLD)
    await start(database, f"{NEW},{OLD}")

    ring = await start(database, OLD)

    assert ring.sealing.kid == "old"


async def test_many_instances_starting_at_once_activate_once(database: Database) -> None:
    await start(database, OLD)

    rings = await asyncio.gather(*(start(database, f"{NEW},{OLD}", f"i{n}") for n in range(5)))
    for n, ring in enumerate(rings):
        await reporter(database, ring, f"i{n}").tick()

    # The one of the old configuration is still counted among the living.
    assert {ring.sealing.kid for ring in rings} == {"old"}
    await fall_silent(database, "one")
    for n, ring in enumerate(rings):
        await reporter(database, ring, f"i{n}").tick()
    assert {ring.sealing.kid for ring in rings} == {"new"}


async def test_a_retired_key_refuses_the_start_and_what_was_sealed_with_it(
    database: Database,
) -> None:
    await start(database, f"{NEW},{OLD}")
    await service(database).retire("old", SYSTEM)

    with pytest.raises(ConfigurationError, match="old is retired"):
        await start(database, f"{OLD},{NEW}")
    with pytest.raises(VaultUnavailable):
        async with database.transaction() as session:
            await DekRepository(session).add(
                OWNER, dek_id=new_id(), kid="old", wrapped="kw1", kcv=bytes(8), at=AT
            )


async def test_a_key_cannot_be_retired_while_something_is_written_under_it(
    database: Database,
) -> None:
    await start(database, f"{NEW},{OLD}")
    async with database.transaction() as session:
        await DekRepository(session).add(
            OWNER, dek_id=new_id(), kid="old", wrapped="kw1", kcv=bytes(8), at=AT
        )
        retiring = asyncio.create_task(service(database).retire("old", SYSTEM))
        done, _ = await asyncio.wait({retiring}, timeout=0.3)
        assert not done

    with pytest.raises(Exception, match="1 data keys lie under old"):
        await retiring
