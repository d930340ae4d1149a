"""A shard that another process leads: whatever becomes of letters, it is done once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import pytest
from structlog.testing import capture_logs

from backend.app.errors import (
    ClientOrderIdTaken,
    EngineElsewhere,
    OrderNotOpen,
    OrderOutcomeUnknown,
    PayloadTooLarge,
    VenueBusy,
)
from backend.app.services.venue.correspondence import ASKS_WAITING_MAX, Patience
from backend.app.services.venue.desk import Depth, Known
from backend.app.services.venue.remote import MADE_NAME
from backend.app.services.venue.streams import LETTER_BYTES_MAX
from backend.app.venue.batch import Done
from backend.app.venue.commands import CancelAllOrders, CancelOrder, MoveFunds, NewOrder
from backend.app.venue.orders import OrderType, SelfTrade, Side, TimeInForce
from backend.tests.support.valkey import Valkey
from backend.tests.support.venue_post import (
    ASKS_AGAIN_SOON,
    PATIENT,
    SHARD,
    Books,
    MeddlingStreams,
    Party,
    StandInEngine,
    party,
    until,
)

ORDER = NewOrder(1, 5, Side.BUY, 250, 3, "mine")
CANCEL_ALL = CancelAllOrders(1, None)

asks_again_soon = pytest.mark.parametrize("patience", [ASKS_AGAIN_SOON], ids=[""])


@dataclass
class Venue:
    """Who asks, and two who can lead; the first does."""

    url: str
    books: Books
    asking: Party
    asking_post: MeddlingStreams
    leader: StandInEngine
    leader_post: MeddlingStreams
    standby: StandInEngine
    leaving: AsyncExitStack

    async def kill_leader(self) -> None:
        """Let the leader vanish with all it has under way, and the other lead."""
        self.leader_post.copies = lambda _: 0
        await self.leaving.aclose()
        self.standby.is_leading = True


@pytest.fixture
def patience() -> Patience:
    """Nobody asks again because the machine is slow; a test of asking again says so."""
    return PATIENT


@pytest.fixture
async def venue(valkey: Valkey, patience: Patience) -> AsyncIterator[Venue]:
    books = Books()
    leader, standby, neither = (StandInEngine(books) for _ in range(3))
    asking_post, leader_post = MeddlingStreams(valkey.url), MeddlingStreams(valkey.url)
    leader.is_leading = True
    async with (
        AsyncExitStack() as leaving,
        party(MeddlingStreams(valkey.url), standby),
        party(asking_post, neither, patience=patience) as asking,
    ):
        await leaving.enter_async_context(party(leader_post, leader))
        await asking.knows_a_leader()
        yield Venue(valkey.url, books, asking, asking_post, leader, leader_post, standby, leaving)


async def test_an_order_is_carried_out_by_who_leads_and_answered_with_what_became_of_it(
    venue: Venue,
) -> None:
    order = NewOrder(
        *(1, 5, Side.SELL, 250, 10**15, "mine", OrderType.STOP_LIMIT, TimeInForce.POST_ONLY),
        stop_price=300,
        self_trade=SelfTrade.CANCEL_BOTH,
        budget=10**24,
    )

    [answer] = await venue.asking.remote.carry_out([order])

    assert answer == venue.books.orders[1, "mine"]
    assert isinstance(answer, Known)
    assert answer.order == order


async def test_each_command_has_its_own_answer(venue: Venue) -> None:
    await venue.asking.remote.carry_out([ORDER, ORDER._replace(client_order_id="other")])

    answers = await venue.asking.remote.carry_out(
        [
            ORDER._replace(price=1),
            CancelOrder(1, 5, 1),
            CancelOrder(1, 5, 1),
            MoveFunds(1, "USDT", 10**30, "one"),
            CancelAllOrders(1, 5),
        ]
    )

    taken, cancelled, not_open, moved, all_cancelled = answers
    assert isinstance(taken, ClientOrderIdTaken)
    assert cancelled == Done(8, (1,))
    assert isinstance(not_open, OrderNotOpen)
    assert moved == Done(7)
    assert all_cancelled == Done(8, (2,))


async def test_the_book_is_told_by_who_leads(venue: Venue) -> None:
    assert await venue.asking.remote.depth(5, 50) == Depth([(5, 50)], [])
    assert await venue.asking.remote.open_orders(7, 5) == [7, 5]
    assert await venue.asking.remote.open_orders(7, None) == [7, 0]


async def test_many_who_ask_at_once_share_letters(venue: Venue) -> None:
    orders = [ORDER._replace(client_order_id=f"order{number}") for number in range(500)]

    answers = await asyncio.gather(*(venue.asking.remote.carry_out([each]) for each in orders))

    assert [answer.order for [answer] in answers if isinstance(answer, Known)] == orders
    assert len(venue.asking_post.seen) < 50


async def test_an_order_without_a_name_gets_one_that_no_owner_can_give(venue: Venue) -> None:
    anonymous = ORDER._replace(client_order_id=None)

    first, second = await venue.asking.remote.carry_out([anonymous, anonymous])

    assert isinstance(first, Known)
    assert isinstance(second, Known)
    names = [first.order.client_order_id or "", second.order.client_order_id or ""]
    assert all(name.startswith(MADE_NAME) and len(name) <= 32 for name in names)
    assert len(venue.books.orders) == len(set(names)) == 2


async def test_a_letter_that_comes_twice_is_answered_alike_and_done_once(venue: Venue) -> None:
    venue.asking_post.copies = lambda _: 2
    venue.leader_post.copies = lambda _: 2

    placed = await venue.asking.remote.carry_out([ORDER])
    cancelled = await venue.asking.remote.carry_out([CANCEL_ALL])
    await venue.asking.remote.carry_out([ORDER._replace(client_order_id="later")])
    # Heard after all that came twice.
    await venue.asking.remote.depth(5, 1)

    assert placed == [venue.books.orders[1, "mine"]]
    assert cancelled == [Done(8, (1,))]
    assert venue.books.cancelled == [(1,)]
    assert venue.books.open == [2]


async def test_a_letter_sent_again_much_later_cancels_nothing_that_was_placed_since(
    venue: Venue,
) -> None:
    await venue.asking.remote.carry_out([CANCEL_ALL])
    await venue.asking.remote.carry_out([ORDER])

    # Whoever can write to Redis can send again what was sealed.
    await venue.asking_post.send(venue.asking_post.seen[:1])
    await venue.asking.remote.carry_out([ORDER])

    assert venue.books.open == [1]
    assert venue.books.cancelled == [()]


@asks_again_soon
@pytest.mark.parametrize("commands", [[ORDER], [CANCEL_ALL], [CancelOrder(1, 5, 1)]])
async def test_a_lost_ask_is_sent_again(venue: Venue, commands: list[NewOrder]) -> None:
    await venue.asking.remote.carry_out([ORDER])
    losses = iter([0])
    venue.asking_post.copies = lambda _: next(losses, 1)

    [answer] = await venue.asking.remote.carry_out(commands)

    assert answer in (venue.books.orders[1, "mine"], Done(8, (1,)))
    assert list(losses) == []
    assert len(venue.books.orders) == 1
    assert venue.books.cancelled == ([(1,)] if isinstance(answer, Done) else [])


@asks_again_soon
@pytest.mark.parametrize("commands", [[ORDER], [CANCEL_ALL], [CancelOrder(1, 5, 1)]])
async def test_a_lost_answer_is_given_again_without_doing_it_again(
    venue: Venue, commands: list[NewOrder]
) -> None:
    await venue.asking.remote.carry_out([ORDER])
    losses = iter([0])
    venue.leader_post.copies = lambda _: next(losses, 1)

    [answer] = await venue.asking.remote.carry_out(commands)

    assert answer in (venue.books.orders[1, "mine"], Done(8, (1,)))
    assert list(losses) == []
    assert len(venue.books.orders) == 1
    assert venue.books.cancelled == ([(1,)] if isinstance(answer, Done) else [])


@asks_again_soon
async def test_what_takes_long_is_asked_again_and_done_once(venue: Venue) -> None:
    venue.leader.may_go.clear()

    asking = asyncio.create_task(venue.asking.remote.carry_out([CANCEL_ALL]))
    await until(lambda: len(venue.asking_post.seen) >= 2)
    venue.leader.may_go.set()

    assert await asking == [Done(8, ())]
    assert venue.books.asked == [CANCEL_ALL]


@asks_again_soon
async def test_what_a_killed_leader_did_not_answer_the_next_one_does_once(venue: Venue) -> None:
    placed_before = ORDER._replace(client_order_id="before")
    venue.leader_post.copies = lambda _: 0
    before = asyncio.create_task(venue.asking.remote.carry_out([placed_before]))
    await until(lambda: len(venue.books.orders) == 1)
    venue.leader.may_go.clear()
    during = asyncio.create_task(venue.asking.remote.carry_out([ORDER]))
    await until(lambda: ORDER in venue.leader.holds)

    await venue.kill_leader()
    after = await venue.asking.remote.carry_out([ORDER._replace(client_order_id="after")])

    assert (await before) == [venue.books.orders[1, "before"]]
    assert (await during) == [venue.books.orders[1, "mine"]]
    assert after == [venue.books.orders[1, "after"]]
    assert len(venue.books.orders) == 3


@asks_again_soon
async def test_to_cancel_everything_is_not_asked_of_the_next_leader_when_one_may_have_done_it(
    venue: Venue,
) -> None:
    venue.leader_post.copies = lambda _: 0
    asking = asyncio.create_task(venue.asking.remote.carry_out([CANCEL_ALL]))
    await until(lambda: len(venue.books.cancelled) == 1)

    await venue.kill_leader()

    with pytest.raises(OrderOutcomeUnknown):
        await asking
    assert venue.books.cancelled == [()]


async def test_a_leader_that_steps_down_passes_its_asks_on(venue: Venue) -> None:
    venue.leader.is_leading = False
    asking = asyncio.create_task(venue.asking.remote.carry_out([CANCEL_ALL]))
    await until(lambda: len(venue.leader_post.seen) >= 1)

    venue.standby.is_leading = True

    assert await asking == [Done(8, ())]
    assert venue.books.cancelled == [()]


@asks_again_soon
async def test_a_defect_is_not_answered_and_stops_nobody(venue: Venue) -> None:
    venue.leader.defect = RuntimeError("with an order in its text")

    with capture_logs() as lines:
        asking = asyncio.create_task(venue.asking.remote.carry_out([ORDER]))
        await until(lambda: any(line["event"] == "venue_ask_failed" for line in lines))
        venue.leader.defect = None

        assert await asking == [venue.books.orders[1, "mine"]]
    assert {line.get("kind") for line in lines} <= {"RuntimeError"}


async def test_without_a_leader_it_is_said_that_nothing_was_done(valkey: Valkey) -> None:
    neither, soon = StandInEngine(Books()), replace(PATIENT, leaderless_seconds_max=0.05)
    async with party(MeddlingStreams(valkey.url), neither, patience=soon) as asking:
        await asking.is_heard()

        with pytest.raises(EngineElsewhere) as refused:
            await asking.remote.carry_out([ORDER])

    assert refused.value.retry_after_seconds == 1


async def test_without_redis_it_is_said_at_once_that_nothing_was_done(
    valkey: Valkey, venue: Venue
) -> None:
    valkey.kill()
    await until(lambda: not venue.asking.mailbox.is_heard)

    # Without waiting for anything at all.
    with pytest.raises(EngineElsewhere):
        venue.asking.remote.carry_out([ORDER]).send(None)
    assert venue.books.asked == []


@asks_again_soon
async def test_a_redis_killed_in_the_middle_and_back_loses_nothing(
    valkey: Valkey, venue: Venue
) -> None:
    venue.leader.may_go.clear()
    asking = asyncio.create_task(venue.asking.remote.carry_out([ORDER, CancelAllOrders(1, 5)]))
    # Arrived, not only on its way: nobody would ask again of a post that is dead.
    await until(lambda: ORDER in venue.leader.holds)
    valkey.kill()
    venue.leader.may_go.set()
    await until(lambda: len(venue.books.asked) == 2)
    valkey.start()

    assert await asking == [venue.books.orders[1, "mine"], Done(8, (1,))]
    assert len(venue.books.asked) == 2


@asks_again_soon
async def test_mailboxes_that_are_emptied_lose_nothing(valkey: Valkey, venue: Venue) -> None:
    async def ask(number: int) -> list[object]:
        order = ORDER._replace(client_order_id=f"order{number}")
        return [*await venue.asking.remote.carry_out([order])]

    asking = [asyncio.create_task(ask(number)) for number in range(50)]
    for _ in range(20):
        valkey.flush()
        await asyncio.sleep(0.01)
    answers = await asyncio.gather(*asking)

    assert [answer for [answer] in answers] == [
        venue.books.orders[1, f"order{number}"] for number in range(50)
    ]


async def test_what_nobody_answers_is_not_known_in_the_end(venue: Venue) -> None:
    venue.leader_post.copies = lambda _: 0
    post = MeddlingStreams(venue.url)
    # Also when time is up before it is due to be asked again.
    hurry = replace(PATIENT, ask_seconds_max=0.2)
    async with party(post, StandInEngine(venue.books), patience=hurry) as hasty:
        await hasty.knows_a_leader()

        order, book = await asyncio.gather(
            hasty.remote.carry_out([ORDER]), hasty.remote.depth(1, 1), return_exceptions=True
        )

    assert isinstance(order, OrderOutcomeUnknown)
    assert isinstance(book, EngineElsewhere)


async def test_what_does_not_go_into_a_letter_is_refused(venue: Venue) -> None:
    many = [ORDER._replace(client_order_id=f"order{n}") for n in range(LETTER_BYTES_MAX // 50)]

    with pytest.raises(PayloadTooLarge):
        await venue.asking.remote.carry_out(many)
    assert venue.books.asked == []


async def test_as_many_wait_as_may(venue: Venue) -> None:
    venue.asking_post.copies = lambda _: 0
    orders = [ORDER._replace(client_order_id=f"order{n}") for n in range(ASKS_WAITING_MAX)]
    asking = [asyncio.create_task(venue.asking.remote.carry_out([each])) for each in orders]
    await asyncio.sleep(0)

    with pytest.raises(VenueBusy):
        await venue.asking.remote.carry_out([ORDER])
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    venue.asking_post.copies = lambda _: 1

    assert isinstance((await venue.asking.remote.carry_out([ORDER]))[0], Known)


async def test_who_gives_up_leaves_nothing_behind(venue: Venue) -> None:
    venue.leader.may_go.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await venue.asking.remote.carry_out([ORDER])
    venue.leader.may_go.set()
    await until(lambda: bool(venue.books.orders))

    assert await venue.asking.remote.depth(5, 1) == Depth([(5, 1)], [])
    assert venue.asking.leaders.of(SHARD) is not None
