"""A snapshot and the changes after it make the book that is there."""

from decimal import Decimal
from typing import cast

from backend.app.exchanges.answers.base import World
from backend.app.exchanges.market_values import Level, OrderBook
from backend.app.sandbox.watched_books import CHANGES_KEPT_MAX, WatchedBook

Sides = tuple[dict[int, int], dict[int, int]]


class World1:
    """A book that is as it is told."""

    def __init__(self) -> None:
        self.sides: Sides = ({99: 1, 98: 2}, {101: 3})

    async def order_book(self, symbol: str, limit: int) -> OrderBook:
        bids, asks = (
            tuple(Level(Decimal(price), Decimal(amount)) for price, amount in side.items())
            for side in self.sides
        )
        return OrderBook(bids, asks, at_ms=1_000)


def book_of(world: World1) -> WatchedBook:
    return WatchedBook(cast("World", world), "BTC/USDT")


async def test_an_unchanged_book_keeps_its_version() -> None:
    book = book_of(World1())

    first, second = await book.look(), await book.look()

    assert first.version == second.version == 1_000
    assert list(book.since(first.version)) == []


async def test_every_change_counts_and_names_what_is_other() -> None:
    world = World1()
    book = book_of(world)
    first = await book.look()
    world.sides = ({99: 1, 97: 5}, {101: 4})

    seen = await book.look()
    [change] = book.since(first.version)

    assert seen.version == change.version == first.version + 1
    assert {(level.price, level.amount) for level in change.bids} == {(97, 5), (98, 0)}
    assert [(level.price, level.amount) for level in change.asks] == [(101, 4)]


async def test_a_snapshot_and_the_changes_after_it_make_the_book() -> None:
    world = World1()
    book = book_of(world)
    start = await book.look()
    for amount in range(2, 12):
        world.sides = ({99: amount, 90 + amount % 3: amount}, {101 + amount % 2: amount})
        end = await book.look()

    bids = {level.price: level.amount for level in start.bids}
    for change in book.since(start.version):
        bids |= {level.price: level.amount for level in change.bids}

    assert {price: amount for price, amount in bids.items() if amount} == {
        level.price: level.amount for level in end.bids
    }


async def test_only_so_many_changes_are_kept() -> None:
    world = World1()
    book = book_of(world)
    first = await book.look()
    for amount in range(CHANGES_KEPT_MAX + 10):
        world.sides = ({99: amount + 2}, {101: 3})
        await book.look()

    assert len(list(book.since(first.version))) == CHANGES_KEPT_MAX
