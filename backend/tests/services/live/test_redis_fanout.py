"""Processes wake each other through Redis; whatever stands there can do no more than that."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from backend.app.channel_message import PRICES
from backend.app.config import Settings
from backend.app.errors import ConfigurationError
from backend.app.services.live.redis_fanout import (
    NOTICE_BYTES_MAX,
    WAITING_CHANNELS_MAX,
    Heads,
    RedisFanout,
)
from backend.tests.support.live_house import live_house, until
from backend.tests.support.people import person
from backend.tests.support.valkey import Valkey

CHANNEL = "strongroom:#live"


@asynccontextmanager
async def fanout(url: str, heard: list[Heads]) -> AsyncIterator[RedisFanout]:
    # A busy machine takes its time; who is gone is noticed all the same.
    fanout = RedisFanout(url, answer_seconds_max=60.0)
    fanout.start(heard.append)
    try:
        await until(fanout.is_heard.is_set)
        yield fanout
    finally:
        await fanout.stop()


async def test_what_one_says_all_hear(valkey: Valkey) -> None:
    one: list[Heads] = []
    other: list[Heads] = []

    async with fanout(valkey.url, one) as speaker, fanout(valkey.url, other):
        speaker.publish({"prices": 7, "notifications:1": 2})
        await until(lambda: bool(one and other))

    assert one == other == [{"prices": 7, "notifications:1": 2}]


async def test_what_is_said_while_redis_is_away_is_bounded_and_the_newest_counts(
    valkey: Valkey,
) -> None:
    heard: list[Heads] = []

    async with fanout(valkey.url, heard) as speaker:
        valkey.kill()
        await until(lambda: not speaker.is_heard.is_set())
        for number in range(2 * WAITING_CHANNELS_MAX):
            speaker.publish({f"channel{number}": 1})
        valkey.start()
        await until(speaker.is_heard.is_set)
        speaker.publish({"prices": 8})
        speaker.publish({"prices": 9})
        await until(lambda: any("prices" in heads for heads in heard))

    assert max(len(heads) for heads in heard) <= WAITING_CHANNELS_MAX
    assert [heads["prices"] for heads in heard if "prices" in heads][-1] == 9


@pytest.mark.parametrize(
    "forged",
    [
        "nonsense",
        "[]",
        '"prices"',
        '{"prices":"9"}',
        '{"prices":true}',
        '{"prices":1.5}',
        "[" * 5000,
        "\udce4".encode(errors="surrogateescape"),
        "x" * (NOTICE_BYTES_MAX + 1),
    ],
)
async def test_nonsense_is_passed_over(valkey: Valkey, forged: str | bytes) -> None:
    heard: list[Heads] = []

    async with fanout(valkey.url, heard):
        valkey.command("PUBLISH", CHANNEL, forged)
        valkey.command("PUBLISH", CHANNEL, json.dumps({"prices": 1}))
        await until(lambda: {"prices": 1} in heard)

    assert [heads for heads in heard if heads] == [{"prices": 1}]


async def test_whoever_writes_to_redis_forges_no_message(
    database_url: str, settings: Settings, valkey: Valkey
) -> None:
    async with (
        live_house(database_url, settings, redis_url=valkey.url) as house,
        await house.client(await person(house.services, "al")) as client,
    ):
        await client.subscribe("prices")
        valkey.command("PUBLISH", CHANNEL, json.dumps({"prices": 2**60}))
        await house.publish(PRICES, {"n": 1})

        told = await client.next()

    assert (told["seq"], told["data"]) == (1, {"n": 1})


async def test_redis_holds_no_word_of_a_message(
    database_url: str, settings: Settings, valkey: Valkey
) -> None:
    heard: list[Heads] = []

    async with (
        fanout(valkey.url, heard),
        live_house(database_url, settings, redis_url=valkey.url) as house,
    ):
        await house.publish("notifications:7", {"text": "for you alone"})
        await until(lambda: {"notifications:7": 1} in heard)

    assert "alone" not in repr(valkey.dump())


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        RedisFanout("http://somewhere")
