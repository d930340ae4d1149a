"""What the hub reads from PostgreSQL, and when."""

import asyncio
from typing import Any

import pytest

from backend.app.channel_message import PRICES, Message
from backend.app.container import Container
from backend.app.errors import EngineElsewhere
from backend.app.repositories.channel_repository import ChannelRepository
from backend.app.services.live.frames import CloseCode, message_frame, public_name
from backend.app.services.live.live_hub import CAUGHT_UP_ROWS_MAX, READS_AT_ONCE_MAX, LiveHub
from backend.tests.support.live_house import until


class Ear:
    """A listener that remembers what it was told."""

    def __init__(self) -> None:
        self.frames = b""
        self.code: CloseCode | None = None

    def tell(self, frames: bytes) -> None:
        self.frames += frames

    def close(self, code: CloseCode) -> None:
        self.code = code


async def publish(services: Container, channel: str, count: int) -> list[Message]:
    async with services.database.transaction() as session:
        return await ChannelRepository(session).publish(channel, [{"n": 1}] * count)


async def listening(hub: LiveHub, channel: str = PRICES, after: int | None = None) -> Ear:
    ear = Ear()
    joined = await hub.subscribe(ear, channel, after)
    hub.begin(ear, channel, joined.seq)
    return ear


def frames(*messages: Message) -> bytes:
    return b"".join(map(message_frame, messages))


async def test_a_hole_in_what_is_announced_is_read_at_once(services: Container) -> None:
    hub = LiveHub(services.database)
    ear = await listening(hub)
    first, second, third = await publish(services, PRICES, 3)

    await hub.announce([third])
    await until(lambda: ear.frames == frames(first, second, third))
    await hub.announce([first, second])

    assert ear.frames == frames(first, second, third)


async def test_a_wake_up_reads_what_was_published_and_one_that_lies_reads_nothing(
    services: Container,
) -> None:
    hub = LiveHub(services.database)
    ear = await listening(hub)
    published = await publish(services, PRICES, 2)

    hub.hear({PRICES: 2, "notifications:1": 5})
    await until(lambda: ear.frames == frames(*published))
    hub.hear({PRICES: 2**60})
    await hub.catch_up(everything=True)

    assert ear.frames == frames(*published)
    await hub.stop()


async def test_one_sweep_finds_everything_on_every_channel(services: Container) -> None:
    hub = LiveHub(services.database)
    ears = {name: await listening(hub, name) for name in ("a", "b", "c")}
    told = {name: await publish(services, name, CAUGHT_UP_ROWS_MAX // 2 + 1) for name in ears}

    await hub.catch_up(everything=True)

    for name, ear in ears.items():
        assert ear.frames == frames(*told[name]), name


async def test_whoever_resumes_ahead_of_this_process_makes_it_catch_up(
    services: Container,
) -> None:
    hub = LiveHub(services.database)
    here = await listening(hub)
    published = await publish(services, PRICES, 3)

    # It heard two of them from another process.
    comes_over = Ear()
    joined = await hub.subscribe(comes_over, PRICES, 2)
    hub.begin(comes_over, PRICES, joined.seq)
    await until(lambda: here.frames == frames(*published))

    assert list(joined.replay) == published[2:]
    assert comes_over.frames == b""


async def test_what_is_announced_while_the_first_listener_is_read_in_is_not_lost(
    services: Container,
) -> None:
    hub = LiveHub(services.database)
    ear = Ear()

    joining = asyncio.ensure_future(hub.subscribe(ear, PRICES, None))
    await asyncio.sleep(0)
    published = await publish(services, PRICES, 1)
    await hub.announce(published)
    joined = await joining
    hub.begin(ear, PRICES, joined.seq)

    # It was read in before the message or after: told in the first case, counted in the other.
    if joined.seq == 0:
        await until(lambda: ear.frames == frames(*published))
    assert ear.frames == (frames(*published) if joined.seq == 0 else b"")


class SlowStock:
    """A state that is looked up for as long as somebody wants."""

    def __init__(self) -> None:
        self.is_asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def snapshot(self) -> dict[str, Any]:
        self.is_asked.set()
        await self.may_answer.wait()
        return {}


async def test_of_two_who_begin_at_once_the_one_who_read_less_misses_nothing(
    services: Container,
) -> None:
    hub, stock, slow = LiveHub(services.database), SlowStock(), Ear()
    hub.offer_snapshot(PRICES, stock)
    joining = asyncio.ensure_future(hub.subscribe(slow, PRICES, None))
    await stock.is_asked.wait()

    # Nobody listens yet who could be told it.
    await hub.announce(await publish(services, PRICES, 1))
    quick = await listening(hub, PRICES, 0)
    stock.may_answer.set()
    joined = await joining
    hub.begin(slow, PRICES, joined.seq)
    published = await publish(services, PRICES, 1)
    await hub.announce(published)

    # It is shown a state that counts the first, and told the second as the other is.
    assert joined.seq == 1
    assert slow.frames == quick.frames == frames(*published)


async def test_whoever_is_cancelled_while_joining_leaves_nothing_behind(
    services: Container,
) -> None:
    hub = LiveHub(services.database)

    joining = asyncio.ensure_future(hub.subscribe(Ear(), PRICES, None))
    await asyncio.sleep(0)
    joining.cancel()
    await asyncio.wait({joining})

    assert hub.channels == []


class Stock:
    """The state of one channel of a kind; it may be out of reach."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def snapshot(self) -> dict[str, Any]:
        if self._name == "away":
            raise EngineElsewhere(retry_after_seconds=1)
        return {"of": self._name}


async def test_every_channel_of_a_kind_shows_its_own_state(services: Container) -> None:
    hub = LiveHub(services.database)
    hub.offer_snapshots("book", Stock)

    shown = {
        name: (await hub.subscribe(Ear(), name, None)).snapshot
        for name in ("book:BTC/USDT", "book:ETH/USDT", "trades:BTC/USDT", "booking:1")
    }

    assert shown == {
        "book:BTC/USDT": {"of": "BTC/USDT"},
        "book:ETH/USDT": {"of": "ETH/USDT"},
        "trades:BTC/USDT": None,
        "booking:1": None,
    }


async def test_who_cannot_be_shown_the_state_does_not_listen(services: Container) -> None:
    hub = LiveHub(services.database)
    hub.offer_snapshots("book", Stock)

    with pytest.raises(EngineElsewhere):
        await hub.subscribe(Ear(), "book:away", None)

    assert hub.channels == []


async def test_a_state_that_takes_long_keeps_nobody_from_the_others(services: Container) -> None:
    class Slow(Stock):
        async def snapshot(self) -> dict[str, Any]:
            await may_go.wait()
            return await super().snapshot()

    may_go = asyncio.Event()
    hub = LiveHub(services.database)
    hub.offer_snapshots("book", Slow)
    hub.offer_snapshot(PRICES, Stock("all"))

    async with asyncio.timeout(30), asyncio.TaskGroup() as asking:
        for number in range(2 * READS_AT_ONCE_MAX):
            asking.create_task(hub.subscribe(Ear(), f"book:{number}", None))
        prices = await hub.subscribe(Ear(), PRICES, None)
        trades = await hub.subscribe(Ear(), "trades:BTC/USDT", None)
        may_go.set()

    assert (prices.snapshot, trades.snapshot) == ({"of": "all"}, None)


@pytest.mark.parametrize(
    ("channel", "public"),
    [
        ("orders:17", "orders"),
        ("notifications:17", "notifications"),
        ("notifications:administrators", "notifications:administrators"),
        ("trades:BTC/USDT", "trades:BTC/USDT"),
    ],
)
def test_nobody_is_told_whose_a_channel_is(channel: str, public: str) -> None:
    assert public_name(channel) == public
