"""A courier does what may be done once, once; it remembers for as long as it can be asked again."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from backend.app.services.keyed_hash import KeyedHash
from backend.app.services.venue.leaders import VenueLeaders
from backend.app.services.venue.mailbox import Mailbox
from backend.app.services.venue.seal import Seal
from backend.app.services.venue.streams import VenueStreams
from backend.app.services.venue.wire import Ask, Reply, commands_ask, letter_body, read_letter
from backend.app.venue.commands import CancelAllOrders, Command, NewOrder
from backend.app.venue.orders import Side
from backend.app.workers.venue_courier import VenueCourier
from backend.tests.support.venue_post import SECRET, SHARD, Books, StandInEngine, until

SEAL = Seal(KeyedHash(SECRET, "venue-seal"))
ORDER = NewOrder(1, 5, Side.BUY, 250, 3, "mine")
CANCEL_ALL = CancelAllOrders(1, None)
ASKER = "asker"


class Listening(Mailbox):
    """A mailbox that keeps what it would send."""

    def __init__(self) -> None:
        super().__init__(VenueStreams("redis://127.0.0.1:1"), SEAL)
        self.replies: list[Reply] = []

    def reply(self, to: str, text: bytes) -> bool:
        """Keep a reply."""
        assert to == ASKER
        self.replies += read_letter(letter_body(self.name, [], [text])).replies
        return True


class Courier(VenueCourier):
    """A courier with an engine that stands in for a real one."""

    def __init__(self, now: Any) -> None:
        self.engine = StandInEngine(Books())
        self.engine.is_leading = True
        self.sent = Listening()
        self.now = now
        streams = VenueStreams("redis://127.0.0.1:1")
        leaders = VenueLeaders(streams, SEAL, self.sent.name, (SHARD,))
        super().__init__({SHARD: self.engine}, self.sent, leaders, now)

    def ask(self, number: int, *commands: Command, in_seconds: float = 10) -> None:
        """Hear an ask that ends after so many seconds."""
        self.hear(ASKER, asked(number, self.now() + timedelta(seconds=in_seconds), commands))

    async def replied(self, count: int) -> list[Reply]:
        """Wait for so many replies."""
        await until(lambda: len(self.sent.replies) >= count)
        return self.sent.replies


def asked(number: int, until_when: Any, commands: Sequence[Command], shard: int = SHARD) -> Ask:
    text = commands_ask(number, round(until_when.timestamp() * 1000), shard, commands)
    return read_letter(letter_body(ASKER, [text], [])).asks[0]


@pytest.fixture
async def courier(clock: Any) -> AsyncIterator[Courier]:
    courier = Courier(clock)
    yield courier
    await courier.close()


async def test_an_ask_heard_again_while_it_is_under_way_is_done_once(courier: Courier) -> None:
    courier.engine.may_go.clear()
    for _ in range(3):
        courier.ask(1, CANCEL_ALL)
    courier.engine.may_go.set()

    await courier.replied(1)

    assert courier.engine.books.asked == [CANCEL_ALL]


async def test_an_ask_heard_again_after_it_was_answered_is_answered_alike(
    courier: Courier,
) -> None:
    courier.ask(1, ORDER, CANCEL_ALL)
    [first] = await courier.replied(1)
    courier.ask(1, ORDER, CANCEL_ALL)

    assert await courier.replied(2) == [first, first]
    assert courier.engine.books.asked == [ORDER, CANCEL_ALL]


async def test_what_has_a_name_is_not_remembered_here_but_by_the_engine(courier: Courier) -> None:
    courier.ask(1, ORDER)
    [first] = await courier.replied(1)
    courier.ask(1, ORDER)

    assert await courier.replied(2) == [first, first]
    assert len(courier.engine.books.asked) == 2
    assert len(courier.engine.books.orders) == 1


async def test_what_was_not_done_may_be_asked_again(courier: Courier) -> None:
    courier.engine.is_leading = False
    courier.ask(1, CANCEL_ALL)
    [refused] = await courier.replied(1)
    courier.engine.is_leading = True
    courier.ask(1, CANCEL_ALL)
    [_, answered] = await courier.replied(2)

    assert refused.refusal is not None
    assert refused.refusal.slug == "engine-elsewhere"
    assert answered.refusal is None


async def test_an_ask_for_a_shard_that_is_not_here_is_refused(courier: Courier, clock: Any) -> None:
    courier.hear(ASKER, asked(1, clock() + timedelta(seconds=5), [ORDER], shard=SHARD + 1))

    [refused] = await courier.replied(1)

    assert refused.refusal is not None
    assert refused.refusal.slug == "engine-elsewhere"


@pytest.mark.parametrize("in_seconds", [-5.1, 15.1, -(10**6), 10**6])
async def test_an_ask_out_of_its_time_is_carried_out_by_nobody(
    courier: Courier, in_seconds: float
) -> None:
    with capture_logs() as lines:
        courier.ask(1, CANCEL_ALL, in_seconds=in_seconds)
    courier.ask(2, ORDER)
    await courier.replied(1)

    assert courier.engine.books.asked == [ORDER]
    assert lines == [{"event": "venue_ask_late", "log_level": "warning", "shard": SHARD}]


async def test_an_answer_is_remembered_until_the_ask_is_too_late(
    courier: Courier, clock: Any
) -> None:
    courier.ask(1, CANCEL_ALL)
    await courier.replied(1)
    at_the_end = asked(1, clock() + timedelta(seconds=10), [CANCEL_ALL])

    # As long as it would be carried out, it is remembered that it was.
    for seconds in (0, 5, 5, 5, 0.001, 5):
        clock.advance(seconds=seconds)
        courier.hear(ASKER, at_the_end)
    courier.ask(2, ORDER)
    await until(lambda: ORDER in courier.engine.books.asked)

    assert courier.engine.books.asked == [CANCEL_ALL, ORDER]
    assert not courier._remembered


async def test_at_a_stop_what_was_taken_is_answered(courier: Courier) -> None:
    for number in range(100):
        courier.ask(number, ORDER._replace(client_order_id=f"order{number}"))
    courier.engine.is_leading = False

    await courier.finish()

    assert len(courier.sent.replies) == 100
