"""Moving data keys: nothing is lost, nothing done twice, and what is busy is left for later."""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Sequence
from uuid import UUID

import pytest
from sqlalchemy import text, update

from backend.app.audit_record import SYSTEM
from backend.app.database import Database
from backend.app.errors import KeyNotAtHand, RewrapRunning
from backend.app.models.dek import Dek
from backend.app.models.key_rewrap import KeyRewrap, RewrapState
from backend.app.repositories.audit_repository import SEQ_MIN, AuditRepository
from backend.app.repositories.dek_repository import DekRepository
from backend.app.schemas.key_schemas import RotationProgress
from backend.app.services.key_rewrap import KeyRewrapping
from backend.app.services.key_ring import KeyRing
from backend.app.services.key_service import KeyService
from backend.tests.support.vault_keys import (
    AT,
    OWNER,
    add_data_keys,
    count_writes,
    kids,
    new_key,
    now,
    opened,
    start,
    writes,
)

OLD, NEW = new_key("old"), new_key("new")
# A tenth of the house's own: what is tried is the same.
BATCH_KEYS = 50
MANY = 2 * BATCH_KEYS + 7


async def rotating(database: Database, count: int) -> tuple[KeyRing, dict[UUID, bytes]]:
    """Return the ring of an installation whose data keys lie under the key before."""
    deks = await add_data_keys(database, await start(database, OLD), count)
    return await start(database, f"{NEW},{OLD}"), deks


def moving_keys(database: Database, ring: KeyRing) -> KeyRewrapping:
    return KeyRewrapping(database, ring, now, BATCH_KEYS)


async def rewrap(database: Database, ring: KeyRing) -> list[RotationProgress]:
    return [told async for told in moving_keys(database, ring).run(SYSTEM)]


async def lapse(database: Database, left: str = "0 hours") -> None:
    """Let the time pass that a killed run's lease has left, or all of it but this."""
    async with database.transaction() as session:
        await session.execute(
            text("UPDATE key_rewraps SET lease_until = now() + CAST(:left AS text)::interval"),
            {"left": left},
        )


async def test_every_data_key_moves_once_and_opens(database: Database) -> None:
    ring, deks = await rotating(database, MANY)
    await count_writes(database)

    told = await rewrap(database, ring)

    assert await kids(database) == ["new"]
    assert await opened(database, KeyRing.from_environment(NEW), deks) == deks
    assert await writes(database) == [1] * (MANY + 1)
    assert (told[-1].total, told[-1].done, told[-1].failed) == (MANY + 1, MANY + 1, 0)
    assert told[-1].state == RewrapState.FINISHED
    assert [one.done for one in told] == [BATCH_KEYS, 2 * BATCH_KEYS, MANY + 1, MANY + 1]


async def test_with_nothing_to_move_nothing_is_done(database: Database) -> None:
    ring = await start(database, OLD)

    assert await rewrap(database, ring) == []


async def test_it_tells_its_rate_and_the_time_left(database: Database) -> None:
    ring, _ = await rotating(database, MANY)

    told = await rewrap(database, ring)

    first = told[0]
    assert first.rate_per_s
    # Few keys take a fast machine no tenth of a second, which is told as 0.0.
    left_seconds = (first.total - first.done) / first.rate_per_s
    assert first.eta_s == pytest.approx(left_seconds, abs=0.1)
    assert told[-1].eta_s is None
    assert (await KeyService(database, ring, now).rotation()).done == MANY + 1


async def test_it_is_on_the_record(database: Database) -> None:
    ring, _ = await rotating(database, 3)

    await rewrap(database, ring)

    async with database.snapshot() as session:
        page = await AuditRepository(session).page_after(SEQ_MIN)
    last = json.loads(page[-1].payload)
    assert (last["act"], last["kid"], last["n"]) == ("key.rewrapped", "old", 4)


async def test_a_damaged_data_key_is_counted_stays_and_stops_nobody(database: Database) -> None:
    ring, deks = await rotating(database, MANY)
    broken = sorted(deks)[5]
    async with database.transaction() as session:
        await session.execute(update(Dek).where(Dek.dek_id == broken).values(kcv=bytes(8)))

    told = await rewrap(database, ring)

    assert (told[-1].done, told[-1].failed, told[-1].state) == (MANY, 1, RewrapState.FINISHED)
    assert await kids(database) == ["new", "old"]
    assert await opened(database, ring, deks) == deks
    again = await rewrap(database, ring)
    assert (again[-1].done, again[-1].failed) == (0, 1)


async def test_a_row_somebody_holds_is_left_for_a_later_pass(database: Database) -> None:
    ring, deks = await rotating(database, MANY)
    async with database.transaction() as session:
        await session.execute(
            text("SELECT FROM deks WHERE dek_id = :id FOR UPDATE"), {"id": sorted(deks)[3]}
        )
        running = asyncio.create_task(rewrap(database, ring))
        await _until_done(database, ring, MANY)

    told = await running

    assert told[-1].done == MANY + 1
    assert await kids(database) == ["new"]


async def _until_done(database: Database, ring: KeyRing, count: int) -> None:
    async with asyncio.timeout(60):
        while (await KeyService(database, ring, now).rotation()).done < count:
            await asyncio.sleep(0.02)


async def test_what_is_shredded_meanwhile_stays_shredded(database: Database) -> None:
    ring, deks = await rotating(database, MANY)
    moving = moving_keys(database, ring).run(SYSTEM)
    await anext(moving)
    last = max(deks)
    async with database.transaction() as session:
        assert await DekRepository(session).shred(OWNER, last, AT)

    told = [one async for one in moving]

    assert told[-1].done == MANY
    async with database.snapshot() as session:
        row = await DekRepository(session).find(OWNER, last)
    assert row is not None
    assert (row.wrapped, row.kid) == (None, "old")


async def test_what_changed_between_reading_and_writing_is_not_overwritten(
    database: Database,
) -> None:
    ring, deks = await rotating(database, 3)
    first = min(deks)

    class Meanwhile(KeyRewrapping):
        async def _read(self, job: KeyRewrap) -> Sequence[Dek]:
            rows = await super()._read(job)
            async with database.transaction() as session:
                await DekRepository(session).shred(OWNER, first, AT)
            return rows

    told = [one async for one in Meanwhile(database, ring, now, BATCH_KEYS).run(SYSTEM)]

    assert told[-1].done == 3
    async with database.snapshot() as session:
        row = await DekRepository(session).find(OWNER, first)
    assert row is not None
    assert row.wrapped is None


async def test_what_is_sealed_with_the_old_key_meanwhile_moves_too(database: Database) -> None:
    ring, _ = await rotating(database, MANY)
    moving = moving_keys(database, ring).run(SYSTEM)
    await anext(moving)
    late = await add_data_keys(database, KeyRing.from_environment(OLD), 11)

    told = [one async for one in moving]

    assert told[-1].done == MANY + 12
    assert await opened(database, KeyRing.from_environment(NEW), late) == late


async def test_two_runs_do_not_work_at_once(database: Database) -> None:
    ring, _ = await rotating(database, MANY)
    moving = moving_keys(database, ring).run(SYSTEM)
    await anext(moving)
    # The lease runs by the server's clock, whatever a busy machine is doing meanwhile.
    await lapse(database, "1 hour")

    with pytest.raises(RewrapRunning, match="try again in 5 seconds"):
        await rewrap(database, ring)

    await moving.aclose()


async def test_a_run_that_was_taken_over_writes_nothing_any_more(database: Database) -> None:
    ring, deks = await rotating(database, MANY)
    await count_writes(database)
    stopped = moving_keys(database, ring).run(SYSTEM)
    await anext(stopped)
    await lapse(database)

    told = await rewrap(database, ring)
    with pytest.raises(RewrapRunning, match="taken this rewrap over"):
        await _rest(stopped)

    assert told[-1].done == MANY + 1
    assert max(await writes(database)) == 1
    assert await opened(database, ring, deks) == deks


async def _rest(moving: AsyncGenerator[RotationProgress, None]) -> None:
    async for _ in moving:
        pass


async def test_a_rotation_in_the_middle_of_a_rewrap_goes_on_to_the_newest(
    database: Database,
) -> None:
    ring, deks = await rotating(database, MANY)
    stopped = moving_keys(database, ring).run(SYSTEM)
    await anext(stopped)
    await stopped.aclose()
    await lapse(database)
    newest = new_key("newest")

    ring = await start(database, f"{newest},{NEW},{OLD}")
    await rewrap(database, ring)

    assert await kids(database) == ["newest"]
    assert await opened(database, KeyRing.from_environment(newest), deks) == deks


async def test_a_key_that_is_needed_and_not_configured_is_named(database: Database) -> None:
    await rotating(database, 3)

    with pytest.raises(KeyNotAtHand, match="old"):
        await rewrap(database, KeyRing.from_environment(NEW))


@pytest.mark.parametrize("seed", range(6))
async def test_rotation_in_any_order_of_any_number_of_keys_loses_nothing(
    database: Database, seed: int
) -> None:
    chance = random.Random(seed)
    keys = {name: new_key(name) for name in [f"k{n}" for n in range(chance.randint(2, 6))]}
    ring = await start(database, ",".join(keys.values()))
    service, deks = KeyService(database, ring, now), {}

    for _ in range(10):
        act = chance.choice(["add", "add", "rotate", "rewrap", "stop", "restart"])
        if act == "add":
            deks |= await add_data_keys(database, ring, chance.randint(1, 70))
        elif act == "rotate":
            kid = chance.choice(list(keys))
            await service.rotate(kid, SYSTEM)
            ring.seal_with(kid)
        elif act == "rewrap":
            await lapse(database)
            await rewrap(database, ring)
            assert await kids(database) == [ring.sealing.kid]
        elif act == "stop":
            await lapse(database)
            moving = moving_keys(database, ring).run(SYSTEM)
            async for _told in moving:
                break
            await moving.aclose()
        else:
            shuffled = chance.sample(list(keys.values()), len(keys))
            ring = await start(database, ",".join(shuffled))
            service = KeyService(database, ring, now)

    assert await opened(database, ring, deks) == deks, f"seed {seed}"
