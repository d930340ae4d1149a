"""A book copied in steps: whoever is in a hurry may be served between two of them."""

from collections.abc import Generator
from itertools import islice
from typing import Final

from backend.app.venue.order_book import OrderBook
from backend.app.venue.orders import OrderType, Place
from backend.app.venue.snapshot_form import BookState, Resting

ORDERS_A_STEP: Final = 5_000
"""Some milliseconds (bench/venue.py)."""


def state_in_steps(instrument_id: int, book: OrderBook) -> Generator[None, None, BookState]:
    """Return how a book stands. Nothing may happen to it before the last step."""
    resting, orders = Resting([], [], [], [], []), book.resting()
    ids, accounts, sides, prices, left = resting
    while some := list(islice(orders, ORDERS_A_STEP)):
        ids += [each.order_id for each in some]
        accounts += [each.account_id for each in some]
        sides += [each.side for each in some]
        prices += [each.price or 0 for each in some]
        left += [each.left for each in some]
        yield
    waiting: list[Place] = []
    for stop in book.waiting():
        waiting.append(
            Place(
                stop.order_id,
                stop.account_id,
                stop.side,
                stop.left,
                stop.price,
                OrderType.STOP_LIMIT,
                stop.time_in_force,
                stop.stop_price,
                stop.self_trade,
            )
        )
        if not len(waiting) % ORDERS_A_STEP:
            yield
    yield
    return BookState(instrument_id, book.last_price, resting, waiting)
