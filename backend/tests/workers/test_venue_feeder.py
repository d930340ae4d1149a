"""The feeder works where the engine leads, and asks for nothing when nothing has happened."""

import pytest

from backend.app.workers.venue_feeder import VenueFeeder


class Engine:
    def __init__(self) -> None:
        self.is_leading = True
        self.committed = 0


class Feed:
    def __init__(self) -> None:
        self.steps = 0
        self.left = 0
        self.is_away = False
        self.seconds = 0.0
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    async def step(self) -> bool:
        self.steps += 1
        self.now += self.seconds
        if self.is_away:
            raise ConnectionError
        self.left = max(0, self.left - 1)
        return self.left > 0


async def steps_of(feeder: VenueFeeder, feed: Feed, ticks: int = 3) -> int:
    before = feed.steps
    for _ in range(ticks):
        await feeder.tick()
    return feed.steps - before


async def test_each_commit_is_told_and_then_nothing_is_asked() -> None:
    engine, feed = Engine(), Feed()
    feeder = VenueFeeder(engine, feed, feed.monotonic)

    assert await steps_of(feeder, feed) == 1
    engine.committed = 7
    assert await steps_of(feeder, feed) == 1


async def test_who_is_behind_goes_on_at_the_next_tick() -> None:
    engine, feed = Engine(), Feed()
    feed.left = 3

    assert await steps_of(VenueFeeder(engine, feed, feed.monotonic), feed, 5) == 3


async def test_where_the_engine_does_not_lead_nothing_is_told() -> None:
    engine, feed = Engine(), Feed()
    feeder = VenueFeeder(engine, feed, feed.monotonic)
    engine.is_leading = False
    assert await steps_of(feeder, feed) == 0

    engine.is_leading = True
    assert await steps_of(feeder, feed) == 1


async def test_who_leads_again_looks_whether_another_left_something() -> None:
    engine, feed = Engine(), Feed()
    feeder = VenueFeeder(engine, feed, feed.monotonic)
    await feeder.tick()
    engine.is_leading = False
    await feeder.tick()
    engine.is_leading = True

    assert await steps_of(feeder, feed) == 1


async def test_a_step_that_fails_is_taken_again() -> None:
    engine, feed = Engine(), Feed()
    feeder = VenueFeeder(engine, feed, feed.monotonic)
    feed.is_away = True
    with pytest.raises(ConnectionError):
        await feeder.tick()
    feed.is_away = False

    assert await steps_of(feeder, feed) == 1


async def test_a_long_step_is_followed_by_a_rest_four_times_as_long() -> None:
    engine, feed = Engine(), Feed()
    feed.left, feed.seconds = 9, 0.5
    feeder = VenueFeeder(engine, feed, feed.monotonic)
    assert await steps_of(feeder, feed) == 1
    feed.now += 1.9
    assert await steps_of(feeder, feed) == 0
    feed.now += 0.2

    assert await steps_of(feeder, feed) == 1
