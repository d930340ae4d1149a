"""Live channels: numbers without gaps, seen in their order, whoever publishes at once."""

import asyncio
from datetime import UTC, datetime, timedelta

from backend.app.channel_message import Message
from backend.app.database import Database
from backend.app.repositories.channel_repository import TRIMMED_AT_ONCE_MAX, ChannelRepository


async def publish(database: Database, channel: str, *bodies: dict[str, int]) -> list[Message]:
    async with database.transaction() as session:
        return await ChannelRepository(session).publish(channel, bodies)


async def after(database: Database, seen: dict[str, int], rows_max: int = 1000) -> list[Message]:
    async with database.snapshot() as session:
        return await ChannelRepository(session).after(seen, rows_max)


async def test_messages_of_a_channel_are_numbered_from_one_without_gaps(database: Database) -> None:
    await publish(database, "prices", {"n": 1}, {"n": 2})
    told = await publish(database, "prices", {"n": 3})

    assert told == [Message("prices", 3, {"n": 3})]
    assert [(m.seq, m.body) for m in await after(database, {"prices": 0})] == [
        (1, {"n": 1}),
        (2, {"n": 2}),
        (3, {"n": 3}),
    ]


async def test_what_is_rolled_back_leaves_no_gap(database: Database) -> None:
    async with database.transaction() as session:
        await ChannelRepository(session).publish("prices", [{"n": 1}])
        await session.rollback()
    told = await publish(database, "prices", {"n": 2})

    assert [m.seq for m in told] == [1]


async def test_many_publishers_at_once_leave_no_gap_and_no_double(database: Database) -> None:
    await asyncio.gather(*(publish(database, "prices", {"n": n}, {"n": -n}) for n in range(20)))

    told = await after(database, {"prices": 0})

    assert [m.seq for m in told] == list(range(1, 41))
    assert sorted(m.body["n"] for m in told) == sorted([*range(20), *(-n for n in range(20))])


async def test_only_what_follows_the_numbers_seen_is_returned(database: Database) -> None:
    await publish(database, "a", {"n": 1}, {"n": 2})
    await publish(database, "b", {"n": 1}, {"n": 2})
    await publish(database, "c", {"n": 1})

    told = await after(database, {"a": 1, "b": 2, "never": 0})

    assert [(m.channel, m.seq) for m in told] == [("a", 2)]


async def test_heads_tell_the_last_number_of_each_channel(database: Database) -> None:
    await publish(database, "a", {"n": 1}, {"n": 2})

    async with database.snapshot() as session:
        heads = await ChannelRepository(session).heads(["a", "never"])

    assert heads == {"a": 2, "never": 0}


async def test_old_messages_go_and_the_numbers_go_on(database: Database) -> None:
    await publish(database, "a", *({"n": n} for n in range(TRIMMED_AT_ONCE_MAX + 1)))
    soon = datetime.now(UTC) + timedelta(minutes=1)
    async with database.transaction() as session:
        first = await ChannelRepository(session).trim(soon)
        second = await ChannelRepository(session).trim(soon)
    told = await publish(database, "a", {"n": 0})

    assert (first, second) == (TRIMMED_AT_ONCE_MAX, 1)
    assert [m.seq for m in told] == [TRIMMED_AT_ONCE_MAX + 2]
