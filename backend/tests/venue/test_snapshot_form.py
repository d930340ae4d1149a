"""A snapshot is all there is to know: the books made of it do what the others would have done."""

import json
import time

import pytest
from hypothesis import given

from backend.app.venue.books import Books, OrderImpossible
from backend.app.venue.commands import Command, NewOrder
from backend.app.venue.orders import OrderType, Side
from backend.app.venue.snapshot_form import (
    ROWS_A_PIECE,
    SnapshotUnreadable,
    pieces,
    read,
    written,
)
from backend.app.venue.snapshot_steps import ORDERS_A_STEP
from backend.tests.support.instruments import CARDS
from backend.tests.support.venue_stories import INSTRUMENTS, stories, told

_OPEN_ORDERS = 50_000
_TIMES_THE_PLACING_MAX = 5
"""It takes half as long; both grow with a busy machine."""


@given(story=stories(), rest=stories())
def test_restored_books_go_on_as_the_others_do(story: list[Command], rest: list[Command]) -> None:
    ours = Books(INSTRUMENTS, 1, 1)
    told(ours, story)

    other = Books.restored(INSTRUMENTS, read(written(ours.snapshot())))

    assert other.snapshot() == ours.snapshot()
    for command in rest:
        assert other.carry_out([command]) == ours.carry_out([command])
    assert other.snapshot() == ours.snapshot()


def test_an_order_that_waited_keeps_its_place_behind_younger_ones() -> None:
    ours = Books(CARDS, 1, 1)
    ours.carry_out(
        [
            NewOrder(1, 1, Side.SELL, 500, 1, None, OrderType.STOP_LIMIT, stop_price=300),
            NewOrder(2, 1, Side.SELL, 500),
            NewOrder(3, 1, Side.BUY, 300),
            NewOrder(4, 1, Side.SELL, 300),
        ]
    )

    other = Books.restored(CARDS, read(written(ours.snapshot())))

    batch = other.carry_out([NewOrder(5, 1, Side.BUY, 500, 2)])
    assert [each.maker_order_id for each in batch.trades] == [2, 1]


def test_no_step_of_a_snapshot_takes_more_than_some_orders() -> None:
    books = Books(CARDS, 1, 1)
    orders = 2 * ORDERS_A_STEP + 1
    books.carry_out([NewOrder(n, 1 + n % 2, Side.BUY, 100 + n % 900) for n in range(orders)])

    steps = sum(1 for _ in books.snapshot_in_steps())
    written_in = list(pieces(books.snapshot()))

    assert steps >= orders / ORDERS_A_STEP
    assert max(map(len, written_in)) <= 8 * ROWS_A_PIECE
    whole = b"".join(written_in)
    assert whole == json.dumps(json.loads(whole), separators=(",", ":")).encode()


def test_many_open_orders_are_restored_in_the_time_of_placing_them() -> None:
    ours = Books(CARDS, 1, 1)
    orders = [
        NewOrder(number, 1 + number % 4, Side.BUY, 100 + number % 900)
        for number in range(_OPEN_ORDERS)
    ]
    started = time.process_time()
    ours.carry_out(orders)
    placing_seconds = time.process_time() - started
    entry = written(ours.snapshot())

    started = time.process_time()
    other = Books.restored(CARDS, read(entry))

    assert time.process_time() - started < _TIMES_THE_PLACING_MAX * placing_seconds
    assert sum(1 for _ in other.open_orders()) == _OPEN_ORDERS


def test_a_crossed_book_and_an_unknown_instrument_are_not_restored() -> None:
    ours = Books(CARDS[:1], 1, 1)
    ours.carry_out([NewOrder(1, 1, Side.BUY, 500), NewOrder(2, 1, Side.SELL, 600)])
    whole = ours.snapshot()
    book = whole.books[0]
    resting = book.resting
    crossed = book._replace(resting=resting._replace(prices=[550] * len(resting.prices)))

    with pytest.raises(OrderImpossible):
        Books.restored(CARDS, whole._replace(books=[crossed]))
    with pytest.raises(OrderImpossible):
        Books.restored(CARDS[1:], whole)


@pytest.mark.parametrize(
    "entry", [b"", b"[]", b"{}", b'{"form":2}', b'{"form":1,"next_number":1}', b"\xff"]
)
def test_what_is_no_snapshot_is_not_read(entry: bytes) -> None:
    with pytest.raises(SnapshotUnreadable):
        read(entry)
