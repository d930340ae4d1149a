"""The books and wallets of a shard as bytes: JSON columns, readable without this program.

`{"form": 1, "next_number": .., "next_trade_id": .., "books": [..], "wallets": {..}}`; the nth entry
of each column belongs to the nth order, or wallet. Orders stand as they queue, and stop orders as
they arrived: an order that waited for its stop price queues behind younger ones.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from backend.app.venue.orders import OrderType, Place, SelfTrade, Side, TimeInForce
from backend.app.venue.wallets import Holding

FORM: Final = 1
ROWS_A_PIECE: Final = 5_000
"""Some milliseconds (bench/venue.py)."""
_LETTERS: Final = {Side.BUY: "b", Side.SELL: "s"}
_SIDES: Final = {"b": Side.BUY, "s": Side.SELL}
_WAITING: Final = (
    "ids",
    "accounts",
    "sides",
    "prices",
    "left",
    "stop_prices",
    "times_in_force",
    "self_trade",
)
_SIDES_COLUMN: Final = "sides"
_WALLETS: Final = ("accounts", "assets", "available", "locked")


class SnapshotUnreadable(Exception):
    """A snapshot is not of a form this code knows."""


class Resting(NamedTuple):
    """The orders in the queues of a book, with what is left of each: columns, as they are stored.

    Rows would be an object for each order, to be made, walked by the collector and given back.
    """

    ids: list[int]
    accounts: list[int]
    sides: list[Side]
    prices: list[int]
    left: list[int]


class BookState(NamedTuple):
    """One book: each price's queue in its order, and what waits, the oldest first."""

    instrument_id: int
    last_price: int | None
    resting: Resting
    waiting: Sequence[Place]


class Snapshot(NamedTuple):
    """All books and wallets of a shard, between two batches."""

    next_number: int
    next_trade_id: int
    books: Sequence[BookState]
    holdings: Sequence[Holding]


def written(snapshot: Snapshot) -> bytes:
    """Return the bytes of a snapshot."""
    return b"".join(pieces(snapshot))


def pieces(snapshot: Snapshot) -> Iterator[bytes]:
    """Yield the same bytes piece by piece; none of them takes long."""
    head = {
        "form": FORM,
        "next_number": snapshot.next_number,
        "next_trade_id": snapshot.next_trade_id,
    }
    yield _json(head)[:-1] + b',"books":['
    for place, book in enumerate(snapshot.books):
        whose = _json({"instrument": book.instrument_id, "last_price": book.last_price})
        yield (b"," if place else b"") + whose[:-1] + b',"resting":'
        yield from _columns(Resting._fields, book.resting)
        yield b',"waiting":'
        yield from _columns(_WAITING, _of_rows(map(_waiting, book.waiting)))
        yield b"}"
    yield b'],"wallets":'
    yield from _columns(_WALLETS, _of_rows(snapshot.holdings))
    yield b"}"


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
    ids, accounts, sides, prices, left = (said["resting"][name] for name in Resting._fields)
    if len({len(ids), len(accounts), len(sides), len(prices), len(left)}) != 1:
        raise SnapshotUnreadable("columns of different lengths")
    resting = Resting(ids, accounts, [_SIDES[each] for each in sides], prices, left)
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


def _of_rows(rows: Iterable[tuple[Any, ...]]) -> Sequence[Sequence[Any]]:
    return list(zip(*rows, strict=True))


def _columns(names: Sequence[str], columns: Sequence[Sequence[Any]]) -> Iterator[bytes]:
    yield b"{"
    for place, name in enumerate(names):
        is_letters = name == _SIDES_COLUMN
        column = columns[place] if columns else ()
        yield (b"," if place else b"") + _json(name) + (b':"' if is_letters else b":[")
        for begin in range(0, len(column), ROWS_A_PIECE):
            some = column[begin : begin + ROWS_A_PIECE]
            if is_letters:
                yield _letters(some)
            else:
                yield (b"," if begin else b"") + _json(some)[1:-1]
        yield b'"' if is_letters else b"]"
    yield b"}"


def _letters(sides: Iterable[Side]) -> bytes:
    return "".join([_LETTERS[side] for side in sides]).encode()


def _json(said: object) -> bytes:
    return json.dumps(said, separators=(",", ":")).encode()


def _rows(names: Sequence[str], columns: dict[str, Any]) -> Iterable[tuple[Any, ...]]:
    return zip(*(columns[name] for name in names), strict=True)
