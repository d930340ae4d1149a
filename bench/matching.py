"""The books on card orders and on paid ones, against heaps of tuples that can do nothing else.

python -m bench.matching

`matched` applies orders to the books alone, as the heaps do. `carried out` is the whole way of a
batch: numbers, outcomes, trades, and how each order stands at its end. `paid for` is the same with
locks, payments, fees and ledger lines.
"""

import gc
import sys
import time
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from random import Random
from statistics import median
from typing import Any

from backend.app.services.venue.engine import COLLECT_AFTER
from backend.app.venue.books import Books
from backend.app.venue.commands import MoveFunds, NewOrder
from backend.app.venue.instruments import ATOMS_PER_UNIT, Instrument
from backend.app.venue.open_orders import OpenOrder
from backend.app.venue.order_book import OrderBook
from backend.app.venue.orders import Side
from bench._support import judged

_CARDS = 4
_TRADERS = 10_000
_PRICES = (100, 1000)
_BATCH_ORDERS = 5_000
_ROUNDS = 3
_MATCHED_GOAL = 0.5
_CARRIED_OUT_GOAL = 0.25
_PAID_FOR_GOAL = 0.1
_RICHES = 10**12 * ATOMS_PER_UNIT

Story = list[NewOrder]
Trades = list[tuple[int, int, int]]
Heaps = tuple[list[tuple[int, int]], list[tuple[int, int]]]


def _story(orders: int) -> Story:
    """Make the card market's orders: one card each, at any price in cents."""
    random = Random(20261121)
    sides = tuple(Side)
    return [
        NewOrder(
            random.randrange(_TRADERS),
            random.randrange(_CARDS),
            sides[random.randrange(2)],
            random.randint(*_PRICES),
        )
        for _ in range(orders)
    ]


def _matched(books: Sequence[OrderBook], story: Story) -> Trades:
    trades = []
    for number, order in enumerate(story, start=1):
        account, card, side, price, quantity = order[:5]
        assert price is not None
        placed = OpenOrder(number, account, side, price, quantity)
        for event in books[card].add(placed, price) or ():
            maker, taker, traded_price, _ = event
            trades.append((maker.order_id, taker.order_id, traded_price))
    return trades


def _bare_books() -> list[OrderBook]:
    return [OrderBook() for _ in range(_CARDS)]


def _free_books() -> Books:
    return Books(_instruments(None), 1, 1)


def _paid_books() -> Books:
    # Nobody runs out of money.
    assets = ("CARD", "USD")
    books = Books(_instruments("CARD"), 1 - len(assets) * _TRADERS, 1)
    for asset in assets:
        books.carry_out([MoveFunds(each, asset, _RICHES, asset) for each in range(_TRADERS)])
    return books


def _carried_out(books: Books, story: Story) -> Trades:
    trades = []
    for begin in range(0, len(story), _BATCH_ORDERS):
        batch = books.carry_out(story[begin : begin + _BATCH_ORDERS])
        trades += [(each.maker_order_id, each.taker_order_id, each.price) for each in batch.trades]
    return trades


def _instruments(base_asset: str | None) -> list[Instrument]:
    card = Instrument(0, "", "", "USD", 100, *_PRICES, 1, base_asset, 1, 0, 1000, 1000)
    return [card._replace(id=number) for number in range(_CARDS)]


def _by_heaps(sides: list[Heaps], story: Story) -> Trades:
    trades = []
    for number, (_, card, side, price, *_) in enumerate(story, start=1):
        assert price is not None
        bids, asks = sides[card]
        if side is Side.BUY:
            if asks and asks[0][0] <= price:
                best, maker = heappop(asks)
                trades.append((maker, number, best))
            else:
                heappush(bids, (-price, number))
        elif bids and -bids[0][0] >= price:
            best, maker = heappop(bids)
            trades.append((maker, number, -best))
        else:
            heappush(asks, (price, number))
    return trades


def _heaps() -> list[Heaps]:
    return [([], []) for _ in range(_CARDS)]


_WAYS: tuple[tuple[str, Callable[[], Any], Callable[[Any, Story], Trades], float], ...] = (
    ("matched", _bare_books, _matched, _MATCHED_GOAL),
    ("carried out", _free_books, _carried_out, _CARRIED_OUT_GOAL),
    ("paid for", _paid_books, _carried_out, _PAID_FOR_GOAL),
)


def _seconds(empty: Callable[[], Any], run: Callable[[Any, Story], Trades], story: Story) -> float:
    market = empty()
    # What was there before is not looked through again and again.
    gc.collect()
    gc.freeze()
    # Nor what rests: Python's collector works as rarely as the engine lets it, for both.
    usual = gc.get_threshold()
    gc.set_threshold(*COLLECT_AFTER)
    started = time.process_time()
    run(market, story)
    seconds = time.process_time() - started
    gc.set_threshold(*usual)
    gc.unfreeze()
    return seconds


def main(orders: int) -> None:
    print(f"{'card orders':>12} {'trades':>9} {'':>12} {'ours':>14} {'heaps':>14} {'ratio':>7}")
    for size in (orders // 10, orders):
        story = _story(size)
        trades = _by_heaps(_heaps(), story)
        for name, empty, run, goal in _WAYS:
            # The same trades, or the comparison would mean nothing.
            assert run(empty(), story) == trades
            rounds = [
                (_seconds(empty, run, story), _seconds(_heaps, _by_heaps, story))
                for _ in range(_ROUNDS)
            ]
            ours, heaps = (median(times) for times in zip(*rounds, strict=True))
            print(
                f"{size:>12,} {len(trades):>9,} {name:>12} {size / ours:>12,.0f}/s"
                f" {size / heaps:>12,.0f}/s {judged(heaps / ours, goal)}",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
