"""The books and wallets of a shard as bytes: JSON columns, readable without this program.

`{"form": 1, "next_number": .., "next_trade_id": .., "books": [..], "wallets": {..}}`; the nth entry
of each column belongs to the nth order, or wallet. Orders stand as they queue, and stop orders as
they arrived: an order that waited for its stop price queues behind younger ones.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from backend.app.venue.orders import OrderType, Place, SelfTrade, Side, TimeInForce
from backend.app.venue.wallets import Holding

FORM: Final = 1
_LETTERS: Final = {Side.BUY: "b", Side.SELL: "s"}
_SIDES: Final = {"b": Side.BUY, "s": Side.SELL}
_RESTING: Final = ("ids", "accounts", "sides", "prices", "left")
_WAITING: Final = (*_RESTING, "stop_prices", "times_in_force", "self_trade")
_WALLETS: Final = ("accounts", "assets", "available", "locked")


class SnapshotUnreadable(Exception):
    """A snapshot is not of a form this code knows."""


class RestingOrder(NamedTuple):
    """An order in its queue, with what is left of it."""

    order_id: int
    account_id: int
    side: Side
    price: int
    left: int


class BookState(NamedTuple):
    """One book: each price's queue in its order, and what waits, the oldest first."""

    instrument_id: int
    last_price: int | None
    resting: Sequence[RestingOrder]
    waiting: Sequence[Place]


class Snapshot(NamedTuple):
    """All books and wallets of a shard, between two batches."""

    next_number: int
    next_trade_id: int
    books: Sequence[BookState]
    holdings: Sequence[Holding]


def written(snapshot: Snapshot) -> bytes:
    """Return the bytes of a snapshot."""
    said = {
        "form": FORM,
        "next_number": snapshot.next_number,
        "next_trade_id": snapshot.next_trade_id,
        "books": [
            {
                "instrument": book.instrument_id,
                "last_price": book.last_price,
                "resting": _columns(_RESTING, book.resting),
                "waiting": _columns(
                    _WAITING,
                    [_waiting(each) for each in book.waiting],
                ),
            }
            for book in snapshot.books
        ],
        "wallets": _columns(_WALLETS, snapshot.holdings),
    }
    return json.dumps(said, separators=(",", ":")).encode()


def read(entry: bytes) -> Snapshot:
    """Return the snapshot that was written.

    Raises:
        SnapshotUnreadable: these are not the bytes of one.
    """
    try:
        said = json.loads(entry)
        if said["form"] != FORM:
            raise SnapshotUnreadable(f"form {said['form']}")
        return Snapshot(
            said["next_number"],
            said["next_trade_id"],
            [_book(each) for each in said["books"]],
            [Holding(*row) for row in _rows(_WALLETS, said["wallets"])],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SnapshotUnreadable(type(error).__name__) from None


def _book(said: dict[str, Any]) -> BookState:
    resting = [
        RestingOrder(number, account, _SIDES[side], price, left)
        for number, account, side, price, left in _rows(_RESTING, said["resting"])
    ]
    waiting = [
        Place(
            number,
            account,
            _SIDES[side],
            left,
            price,
            OrderType.STOP_LIMIT,
            TimeInForce(force),
            stop_price,
            SelfTrade(self_trade),
        )
        for number, account, side, price, left, stop_price, force, self_trade in _rows(
            _WAITING, said["waiting"]
        )
    ]
    return BookState(said["instrument"], said["last_price"], resting, waiting)


def _waiting(place: Place) -> tuple[Any, ...]:
    number, account, side, left, price, _, force, stop_price, self_trade = place
    return number, account, side, price, left, stop_price, force, self_trade


def _columns(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    filled = zip(*rows, strict=True) if rows else [()] * len(names)
    columns: dict[str, Any] = dict(zip(names, filled, strict=True))
    if "sides" in columns:
        columns["sides"] = "".join([_LETTERS[side] for side in columns["sides"]])
    return columns


def _rows(names: Sequence[str], columns: dict[str, Any]) -> Iterable[tuple[Any, ...]]:
    return zip(*(columns[name] for name in names), strict=True)
