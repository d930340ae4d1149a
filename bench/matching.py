"""The matching core on card orders, against two heaps of tuples that can do nothing else.

python -m bench.matching
"""

import sys
import time
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from random import Random
from statistics import median

from backend.app.venue.events import Traded
from backend.app.venue.order_book import OrderBook
from backend.app.venue.orders import Place, Side
from bench._support import judged

_CARDS = 4
_TRADERS = 10_000
_PRICES = (100, 1000)
_ROUNDS = 3
_RATIO_GOAL = 0.5

Story = list[tuple[int, Place]]


def _story(orders: int) -> Story:
    """Make the card market's orders: one card each, at any price in cents."""
    random = Random(20261121)
    sides = tuple(Side)
    return [
        (
            random.randrange(_CARDS),
            Place(
                number,
                random.randrange(_TRADERS),
                sides[random.randrange(2)],
                1,
                random.randint(*_PRICES),
            ),
        )
        for number in range(1, orders + 1)
    ]


def _by_books(story: Story) -> list[tuple[int, int, int]]:
    books = [OrderBook() for _ in range(_CARDS)]
    trades = []
    for card, place in story:
        for event in books[card].apply(place):
            if isinstance(event, Traded):
                maker, taker, price, _ = event
                trades.append((maker, taker, price))
    return trades


def _by_heaps(story: Story) -> list[tuple[int, int, int]]:
    sides: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]] = [
        ([], []) for _ in range(_CARDS)
    ]
    trades = []
    for card, (number, _, side, _, price, *_) in story:
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


def _seconds(run: Callable[[Story], Sequence[object]], story: Story) -> float:
    started = time.process_time()
    run(story)
    return time.process_time() - started


def main(orders: int) -> None:
    print(f"{'card orders':>12} {'trades':>9} {'ours':>14} {'heaps':>14} {'ratio':>7}")
    for size in (orders // 10, orders):
        story = _story(size)
        # The same trades, or the comparison would mean nothing.
        trades = _by_heaps(story)
        assert _by_books(story) == trades
        rounds = [(_seconds(_by_books, story), _seconds(_by_heaps, story)) for _ in range(_ROUNDS)]
        ours, heaps = (median(times) for times in zip(*rounds, strict=True))
        print(
            f"{size:>12,} {len(trades):>9,} {size / ours:>12,.0f}/s {size / heaps:>12,.0f}/s"
            f" {judged(heaps / ours, _RATIO_GOAL)}",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
