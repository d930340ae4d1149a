"""Somebody listens through broken lines, two processes and a dead Redis, and misses nothing."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from backend.app.channel_message import PRICES, notifications_channel
from backend.app.config import Settings
from backend.app.repositories.channel_repository import ChannelRepository
from backend.tests.support.live_house import LiveClient, LiveHouse, live_house
from backend.tests.support.people import Person, person
from backend.tests.support.valkey import Valkey

pytestmark = pytest.mark.slow

MESSAGES = 120


class Reader:
    """A client as it should be: it remembers the last number, and resumes after it."""

    def __init__(self, houses: Sequence[LiveHouse], who: Person, channel: str, seed: int) -> None:
        self._houses = itertools.cycle(houses)
        self._who = who
        self._channel = channel
        self._chance = random.Random(seed)
        self.heard: list[int] = []
        self.lines_lost = 0

    async def hear(self, last: int) -> None:
        """Listen until this number has come, losing the line every now and then."""
        while not self.heard or self.heard[-1] < last:
            async with await next(self._houses).client(self._who) as client:
                after = self.heard[-1] if self.heard else 0
                begun = await client.ask("subscribe", channel=self._channel, after=after)
                assert begun["type"] == "subscribed"
                for _ in range(self._chance.randint(1, 40)):
                    frame = await client.next()
                    assert frame["type"] == "message", frame
                    self.heard.append(frame["seq"])
                    if frame["seq"] == last:
                        return
                # What is on its way on the broken line is lost, and comes again on the next.
                client.abort()
                self.lines_lost += 1


async def publish(houses: Sequence[LiveHouse], channel: str, last: int) -> None:
    """Publish through one process after the other."""
    for seq, house in zip(range(1, last + 1), itertools.cycle(houses), strict=False):
        await house.publish(channel, {"n": seq})


@asynccontextmanager
async def two_houses(
    url: str, settings: Settings, redis_url: str | None
) -> AsyncIterator[list[LiveHouse]]:
    async with (
        live_house(url, settings, redis_url=redis_url) as one,
        live_house(url, settings, redis_url=redis_url) as other,
    ):
        yield [one, other]


async def test_lines_break_while_messages_come_and_nobody_misses_or_doubles_any(
    database_url: str, settings: Settings
) -> None:
    async with live_house(database_url, settings) as house:
        readers = [
            Reader([house], await person(house.services, f"reader{number}"), "prices", number)
            for number in range(3)
        ]

        await asyncio.gather(
            publish([house], PRICES, MESSAGES), *(reader.hear(MESSAGES) for reader in readers)
        )

    assert [reader.heard for reader in readers] == [list(range(1, MESSAGES + 1))] * 3
    assert sum(reader.lines_lost for reader in readers) > 3


async def test_two_processes_and_redis_tell_the_same_story(
    database_url: str, settings: Settings, valkey: Valkey
) -> None:
    async with two_houses(database_url, settings, valkey.url) as houses:
        readers = [
            Reader(
                houses[number:] + houses[:number], await person(each.services, name), "prices", 7
            )
            for number, (each, name) in enumerate(zip(houses, ("one", "other"), strict=True))
        ]

        await asyncio.gather(
            publish(houses, PRICES, MESSAGES), *(reader.hear(MESSAGES) for reader in readers)
        )

    assert [reader.heard for reader in readers] == [list(range(1, MESSAGES + 1))] * 2


async def test_redis_dies_in_the_middle_and_comes_back_and_nothing_is_missed(
    database_url: str, settings: Settings, valkey: Valkey
) -> None:
    async with two_houses(database_url, settings, valkey.url) as houses:
        who = await person(houses[0].services, "alice")
        channel = notifications_channel(who.user_id)
        async with await houses[0].client(who) as here, await houses[1].client(who) as there:
            for client in (here, there):
                await client.subscribe("notifications")
            heard: list[list[int]] = []
            for done in (valkey.kill, valkey.start, lambda: None):
                await houses[0].publish(channel, {"n": 1}, {"n": 2})
                await houses[1].publish(channel, {"n": 3})
                heard += [
                    [frame["seq"] for frame in await client.take(3)] for client in (here, there)
                ]
                done()

    assert heard == [[1, 2, 3], [1, 2, 3], [4, 5, 6], [4, 5, 6], [7, 8, 9], [7, 8, 9]]


async def test_without_redis_what_another_process_published_is_found(
    database_url: str, settings: Settings
) -> None:
    async with (
        two_houses(database_url, settings, None) as houses,
        await houses[0].client(await person(houses[0].services, "al")) as client,
    ):
        await client.subscribe("prices")
        await houses[1].publish(PRICES, {"n": 1})
        # Announced here, and ahead of what was told: the one before is read first.
        await houses[0].publish(PRICES, {"n": 2})
        await houses[1].publish(PRICES, {"n": 3}, announced=False)
        heard = [frame["seq"] for frame in await client.take(3)]

    assert heard == [1, 2, 3]


async def test_a_process_that_slept_through_the_trimming_sends_its_listeners_back(
    database_url: str, settings: Settings
) -> None:
    async with two_houses(database_url, settings, None) as houses:
        who = await person(houses[0].services, "al")
        async with await houses[0].client(who) as client:
            await client.subscribe("prices")
            await publish_and_trim(houses[1])
            code = await client.closed()
        async with await houses[0].client(who) as client:
            await client.subscribe("prices", after=0)
            reset = await client.next()

    assert code == 4409
    assert (reset["type"], reset["reason"], reset["seq"]) == ("reset", "trimmed", 3)


async def publish_and_trim(house: LiveHouse) -> None:
    """Publish three messages and lose the first two, at one moment."""
    async with house.services.database.transaction() as session:
        await ChannelRepository(session).publish(PRICES, [{"n": 1}, {"n": 2}, {"n": 3}])
        await session.execute(text("DELETE FROM channel_messages WHERE seq < 3"))


async def test_many_join_while_messages_come_and_each_hears_one_run(
    database_url: str, settings: Settings
) -> None:
    async with live_house(database_url, settings) as house:
        people = [await person(house.services, f"reader{number}") for number in range(20)]
        clients = [await house.client(each) for each in people]

        async def heard(client: LiveClient) -> tuple[int, list[int]]:
            seq = (await client.subscribe("prices"))["seq"]
            return seq, [frame["seq"] for frame in await client.take(MESSAGES - seq)]

        _, *runs = await asyncio.gather(publish([house], PRICES, MESSAGES), *map(heard, clients))
        for client in clients:
            client.abort()

    assert [told for _, told in runs] == [list(range(at + 1, MESSAGES + 1)) for at, _ in runs]
