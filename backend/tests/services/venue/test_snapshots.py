"""A start from a snapshot: sooner, the same, and not needed."""

import pytest

from backend.app.database import Database
from backend.app.services.venue.engine import VenueEngine
from backend.app.services.venue.replay import replay
from backend.app.venue.commands import Command
from backend.tests.support.databases import server_connection
from backend.tests.support.venue import (
    engine_on,
    led,
    running,
    seeded_orders,
    seeded_spot_commands,
)

SPOT = 1
SNAPSHOT_AFTER = 100
LEVELS = 1_000


@pytest.fixture
async def commands(database_url: str) -> list[Command]:
    async with server_connection(database_url) as connection:
        pair = await connection.fetchval("SELECT id FROM instruments WHERE symbol = 'BTC/USDT'")
    return seeded_spot_commands(900, pair)


async def carried_out(engine: VenueEngine, commands: list[Command]) -> None:
    for start in range(0, len(commands), 20):
        await engine.carry_out(commands[start : start + 20])


@pytest.fixture
async def kept(database: Database, commands: list[Command]) -> Database:
    """A shard with snapshots, and with some commands after the last of them."""
    async with running(engine_on(database, SPOT, SNAPSHOT_AFTER)) as engine:
        await led(engine)
        await carried_out(engine, commands[:800])
    return database


async def changed(database_url: str, statement: str) -> str:
    async with server_connection(database_url) as connection:
        await connection.execute("ALTER TABLE venue_journal DISABLE TRIGGER USER")
        return str(await connection.execute(statement))


async def test_the_latest_snapshots_are_kept_and_are_what_the_journal_says(
    kept: Database, database_url: str
) -> None:
    async with server_connection(database_url) as connection:
        sequences = await connection.fetch("SELECT sequence FROM venue_snapshots ORDER BY 1")
        entries = await connection.fetchval("SELECT max(sequence) FROM venue_journal")

    assert len(sequences) == 2
    assert entries - 10 < sequences[-1][0] < entries
    assert (await replay(kept, SPOT)).difference is None


async def test_commands_are_answered_while_a_snapshot_is_stored(
    database: Database, database_url: str
) -> None:
    async with running(engine_on(database, 0, SNAPSHOT_AFTER)) as engine:
        await led(engine)
        async with server_connection(database_url) as connection:
            async with connection.transaction():
                await connection.execute("LOCK TABLE venue_snapshots IN ACCESS EXCLUSIVE MODE")
                await carried_out(engine, [*seeded_orders(SNAPSHOT_AFTER + 80)])
            await engine.stop()
            sequences = await connection.fetch("SELECT sequence FROM venue_snapshots")

    assert [each[0] for each in sequences] == [SNAPSHOT_AFTER / 20]
    assert (await replay(database, 0)).difference is None


async def test_a_start_reads_the_snapshot_and_only_the_journal_after_it(
    kept: Database, database_url: str, commands: list[Command]
) -> None:
    before = (
        "DELETE FROM venue_journal WHERE sequence <= (SELECT max(sequence) FROM venue_snapshots)"
    )
    await changed(database_url, before)

    async with running(engine_on(kept, SPOT)) as engine:
        await led(engine)
        await carried_out(engine, commands[800:])


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM venue_snapshots",
        "UPDATE venue_snapshots SET state = set_byte(state, 40, 120)",
        "UPDATE venue_snapshots SET state = '{}', checksum = sha256('{}')",
        "SELECT",
    ],
)
async def test_what_is_done_after_a_start_is_what_would_have_been_done_without_it(
    kept: Database, database_url: str, commands: list[Command], damage: str
) -> None:
    await changed(database_url, damage)

    async with running(engine_on(kept, SPOT)) as engine:
        await led(engine)
        await carried_out(engine, commands[800:])

    found = await replay(kept, SPOT)
    assert found.difference is None or "snapshot" in found.difference
    await changed(database_url, "DELETE FROM venue_snapshots")
    assert (await replay(kept, SPOT)).difference is None


async def test_a_snapshot_of_other_books_is_found(kept: Database, database_url: str) -> None:
    await changed(
        database_url,
        "UPDATE venue_snapshots SET state = replace(encode(state, 'escape'), '\"left\":[', "
        "'\"left\":[1')::bytea",
    )

    found = await replay(kept, SPOT)

    assert found.difference is not None
    assert found.difference.startswith("the snapshot after entry")
