"""The order book against the reference, and the laws of a market it must never break."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.venue import events as told_by
from backend.app.venue.events import CancelReason, RejectReason
from backend.app.venue.open_orders import OpenOrder
from backend.app.venue.order_book import OrderBook
from backend.app.venue.orders import (
    PRICE_MAX,
    QUANTITY_MAX,
    OrderType,
    Place,
    SelfTrade,
    Side,
    TimeInForce,
)
from backend.tests.support.reference_book import (
    Cancel,
    CancelAll,
    Cancelled,
    Command,
    Event,
    ReferenceBook,
    Rejected,
    Traded,
    Triggered,
)

BUY, SELL = Side.BUY, Side.SELL
NONSENSE = st.sampled_from((-1, 0, PRICE_MAX + 1, 2**70))
prices = st.integers(1, 12)
maybe_wrong_prices = st.one_of(st.none(), prices, prices, prices, NONSENSE)


@st.composite
def orders(draw: st.DrawFn) -> Place:
    """Mostly orders that make sense, from three accounts at a dozen prices."""
    kind = draw(st.sampled_from(OrderType))
    makes_sense = draw(st.integers(0, 9))
    price = draw(prices) if makes_sense else draw(maybe_wrong_prices)
    stop = draw(prices) if makes_sense else draw(maybe_wrong_prices)
    return Place(
        order_id=draw(st.integers(1, 60)),
        account_id=draw(st.integers(1, 3)),
        side=draw(st.sampled_from(Side)),
        quantity=draw(st.integers(1, 9)) if makes_sense else draw(st.integers(-1, 3)),
        price=None if kind is OrderType.MARKET and makes_sense else price,
        type=kind,
        time_in_force=draw(st.sampled_from(TimeInForce)),
        stop_price=stop if kind is OrderType.STOP_LIMIT or not makes_sense else None,
        self_trade=draw(st.sampled_from(SelfTrade)),
    )


cancels = st.builds(Cancel, st.integers(1, 60), st.integers(1, 3))
commands = st.one_of(orders(), orders(), orders(), cancels, st.builds(CancelAll, st.integers(1, 3)))


@st.composite
def stories(draw: st.DrawFn) -> list[Command]:
    """Commands as they come; most orders have the next number, as an engine gives it."""
    story = draw(st.lists(commands, max_size=60))
    reused = draw(st.sets(st.integers(0, 59), max_size=3))
    return [
        each._replace(order_id=number + 1)
        if isinstance(each, Place) and number not in reused
        else each
        for number, each in enumerate(story)
    ]


def place(number: int, side: Side, quantity: int, price: int | None, **more: Any) -> Place:
    return Place(number, more.pop("account", number), side, quantity, price, **more)


def told(*asked: Command) -> list[Event]:
    """Apply all commands and return what the last one brought about."""
    book = OrderBook()
    return [applied(book, each) for each in asked][-1]


def applied(book: OrderBook, command: Command) -> list[Event]:
    """Apply a command and tell what it brought about in the reference's words."""
    if isinstance(command, Cancel):
        cancelled = book.cancel(command.order_id, command.account_id)
        if cancelled is None:
            return [Rejected(command.order_id, RejectReason.NOT_OPEN)]
        return [in_words(cancelled)]
    if isinstance(command, CancelAll):
        return [in_words(each) for each in book.cancel_all(command.account_id)]
    reason = book.refusal(command)
    if reason is not None:
        return [Rejected(command.order_id, reason)]
    events: list[told_by.Event] = []
    book.place(command, events)
    return [in_words(each) for each in events]


def in_words(event: told_by.Event) -> Event:
    if isinstance(event, told_by.Traded):
        return Traded(event.maker.order_id, event.taker.order_id, event.price, event.quantity)
    if isinstance(event, told_by.Triggered):
        return Triggered(event.order.order_id)
    return Cancelled(event.order.order_id, event.quantity, event.reason)


def open_in(book: OrderBook) -> list[OpenOrder]:
    return [*book.resting(), *book.waiting()]


def stands(book: OrderBook) -> list[tuple[int, int]]:
    return [(each.order_id, each.left) for each in open_in(book)]


@given(story=stories())
def test_it_does_what_the_reference_does(story: list[Command]) -> None:
    book, reference = OrderBook(), ReferenceBook()
    for command in story:
        assert applied(book, command) == reference.apply(command)
        assert book.last_price == reference.last_price
        assert sorted((each.order_id, each.left) for each in open_in(book)) == sorted(
            (each.place.order_id, each.left) for each in reference.open
        )


@given(story=stories())
def test_the_same_commands_bring_about_the_same_events(story: list[Command]) -> None:
    one, other = OrderBook(), OrderBook()

    assert [applied(one, each) for each in story] == [applied(other, each) for each in story]


@given(story=stories())
def test_no_lot_is_made_or_lost(story: list[Command]) -> None:
    book, entered, gone = OrderBook(), Counter[int](), Counter[int]()
    for command in story:
        for event in (events := applied(book, command)):
            if isinstance(event, Traded):
                gone[event.maker_order_id] += event.quantity
                gone[event.taker_order_id] += event.quantity
            elif isinstance(event, Cancelled):
                gone[event.order_id] += event.quantity
        if isinstance(command, Place) and not any(isinstance(each, Rejected) for each in events):
            entered[command.order_id] += command.quantity
    for each in open_in(book):
        gone[each.order_id] += each.left

    assert gone == entered


@given(story=stories())
def test_a_book_is_never_crossed_and_depth_is_the_sum_of_its_orders(story: list[Command]) -> None:
    book = OrderBook()
    waiting: set[int] = set()
    for command in story:
        events = applied(book, command)
        waiting -= {each.order_id for each in events if isinstance(each, Triggered)}
        bids, asks = book.depth(BUY, 100), book.depth(SELL, 100)
        assert not bids or not asks or bids[0][0] < asks[0][0]
        assert bids == sorted(bids, reverse=True)
        assert asks == sorted(asks)
        assert all(quantity > 0 for _, quantity in bids + asks)
        assert [price for price, _ in book.depth(BUY, 1)] == [price for price, _ in bids[:1]]


@given(story=stories(), rejected=orders())
def test_what_is_rejected_changes_nothing(story: list[Command], rejected: Place) -> None:
    book = OrderBook()
    for command in story:
        applied(book, command)
    before = (stands(book), book.last_price)

    if any(isinstance(each, Rejected) for each in applied(book, rejected)):
        assert (stands(book), book.last_price) == before


def test_trades_are_made_at_the_price_of_the_order_that_rests() -> None:
    assert told(place(1, SELL, 1, 100), place(2, BUY, 1, 120)) == [Traded(1, 2, 100, 1)]
    assert told(place(1, BUY, 1, 120), place(2, SELL, 1, 100)) == [Traded(1, 2, 120, 1)]


def test_the_best_price_comes_first_and_then_the_oldest() -> None:
    events = told(
        place(1, SELL, 1, 101),
        place(2, SELL, 1, 100),
        place(3, SELL, 1, 100),
        place(4, BUY, 3, 101),
    )

    assert [each.maker_order_id for each in events if isinstance(each, Traded)] == [2, 3, 1]


def test_a_partly_filled_order_keeps_its_place() -> None:
    book = OrderBook()
    for each in (place(1, SELL, 5, 100), place(2, SELL, 5, 100), place(3, BUY, 2, 100)):
        applied(book, each)

    assert applied(book, place(4, BUY, 4, 100)) == [Traded(1, 4, 100, 3), Traded(2, 4, 100, 1)]
    assert book.depth(SELL, 5) == [(100, 4)]


@pytest.mark.parametrize(
    ("force", "ends"),
    [
        (TimeInForce.GTC, [Traded(1, 2, 100, 3)]),
        (
            TimeInForce.IOC,
            [Traded(1, 2, 100, 3), Cancelled(2, 2, CancelReason.IMMEDIATE_OR_CANCEL)],
        ),
        (TimeInForce.FOK, [Cancelled(2, 5, CancelReason.FILL_OR_KILL)]),
        (TimeInForce.POST_ONLY, [Rejected(2, RejectReason.WOULD_TAKE)]),
    ],
)
def test_times_in_force_tell_what_becomes_of_the_rest(
    force: TimeInForce, ends: list[Event]
) -> None:
    assert told(place(1, SELL, 3, 100), place(2, BUY, 5, 100, time_in_force=force)) == ends


def test_a_market_order_takes_what_is_there_and_ends() -> None:
    events = told(place(1, SELL, 3, 100), place(2, BUY, 5, None, type=OrderType.MARKET))

    assert events == [Traded(1, 2, 100, 3), Cancelled(2, 2, CancelReason.NO_LIQUIDITY)]


@pytest.mark.parametrize(
    ("mode", "ends"),
    [
        (SelfTrade.ALLOW, [Traded(1, 3, 100, 2), Traded(2, 3, 101, 2)]),
        (SelfTrade.CANCEL_TAKER, [Cancelled(3, 4, CancelReason.SELF_TRADE)]),
        (
            SelfTrade.CANCEL_MAKER,
            [Cancelled(1, 2, CancelReason.SELF_TRADE), Traded(2, 3, 101, 2)],
        ),
        (
            SelfTrade.CANCEL_BOTH,
            [Cancelled(1, 2, CancelReason.SELF_TRADE), Cancelled(3, 4, CancelReason.SELF_TRADE)],
        ),
    ],
)
def test_nobody_has_to_trade_with_themselves(mode: SelfTrade, ends: list[Event]) -> None:
    assert (
        told(
            place(1, SELL, 2, 100, account=7),
            place(2, SELL, 2, 101, account=8),
            place(3, BUY, 4, 101, account=7, self_trade=mode),
        )
        == ends
    )


def test_a_stop_order_waits_for_its_price_and_then_is_a_limit_order() -> None:
    events = told(
        place(1, BUY, 1, 106, type=OrderType.STOP_LIMIT, stop_price=105),
        place(2, SELL, 1, 104),
        place(3, SELL, 1, 105),
        place(4, SELL, 1, 106),
        place(5, BUY, 2, 105),
    )

    assert events == [
        Traded(2, 5, 104, 1),
        Traded(3, 5, 105, 1),
        Triggered(1),
        Traded(4, 1, 106, 1),
    ]


def test_a_stop_price_is_reached_before_what_is_left_of_the_taker_ends() -> None:
    for book in (OrderBook(), ReferenceBook()):
        events = [
            event
            for each in (
                place(1, BUY, 1, 90, type=OrderType.STOP_LIMIT, stop_price=105),
                place(2, SELL, 1, 105),
                place(3, BUY, 2, None, type=OrderType.MARKET),
            )
            for event in (applied(book, each) if isinstance(book, OrderBook) else book.apply(each))
        ]

        assert events == [
            Traded(2, 3, 105, 1),
            Triggered(1),
            Cancelled(3, 1, CancelReason.NO_LIQUIDITY),
        ]


def test_a_price_that_was_reached_in_passing_counts() -> None:
    # The sell stop enters first and drives the price away from the buy stop, which was reached.
    events = told(
        place(1, BUY, 5, 90),
        place(2, SELL, 1, 105),
        place(3, SELL, 1, 90, type=OrderType.STOP_LIMIT, stop_price=105),
        place(4, BUY, 1, 80, type=OrderType.STOP_LIMIT, stop_price=103),
        place(5, BUY, 1, 105),
    )

    assert [each.order_id for each in events if isinstance(each, Triggered)] == [3, 4]


def test_only_its_owner_cancels_an_order() -> None:
    book = OrderBook()
    applied(book, place(1, SELL, 2, 100, account=7))

    assert applied(book, Cancel(1, 8)) == [Rejected(1, RejectReason.NOT_OPEN)]
    assert applied(book, Cancel(1, 7)) == [Cancelled(1, 2, CancelReason.ASKED)]
    assert applied(book, Cancel(1, 7)) == [Rejected(1, RejectReason.NOT_OPEN)]


def test_all_orders_of_an_account_are_cancelled_in_the_order_of_their_ids() -> None:
    book = OrderBook()
    for each in (
        place(1, BUY, 1, 90, account=7),
        place(2, SELL, 2, 100, account=7),
        place(3, SELL, 2, 100, account=8),
        place(4, BUY, 1, 99, account=7, type=OrderType.STOP_LIMIT, stop_price=200),
    ):
        applied(book, each)

    cancelled = applied(book, CancelAll(7))

    assert [each.order_id for each in cancelled if isinstance(each, Cancelled)] == [1, 2, 4]
    assert [each.order_id for each in open_in(book)] == [3]


@pytest.mark.parametrize("quantity", [0, -1, QUANTITY_MAX + 1])
def test_impossible_quantities_are_rejected(quantity: int) -> None:
    assert told(place(1, BUY, quantity, 1)) == [Rejected(1, RejectReason.QUANTITY_OUT_OF_RANGE)]


def test_prices_that_come_and_go_leave_nothing_behind() -> None:
    book = OrderBook()
    applied(book, place(1, SELL, 1, 5))
    for price in range(10, 20_000):
        applied(book, place(price, SELL, 1, price, account=7))
        applied(book, Cancel(price, 7))

    assert len(book._asks._heap) < 200


@pytest.mark.parametrize(("side", "away"), [(BUY, 1), (SELL, -1)])
def test_stop_orders_that_come_and_go_leave_nothing_behind(side: Side, away: int) -> None:
    book = OrderBook()
    stop = {"type": OrderType.STOP_LIMIT, "account": 7}
    for number in range(1, 1_000):
        price = 10_000 + away * (number * 7 % 500)
        applied(book, place(number, side, 1, price, stop_price=price, **stop))
        # Every hundredth stays.
        if number % 100:
            applied(book, Cancel(number, 7))
    entries = len(book._stops._buys) + len(book._stops._sells)
    far = 10_000 + away * 500
    applied(book, place(2_000, SELL, 1, far))
    events = applied(book, place(2_001, BUY, 1, far))

    assert entries < 100
    assert [each.order_id for each in events if isinstance(each, Triggered)] == [
        *range(100, 1_000, 100)
    ]
