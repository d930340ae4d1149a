"""How far every order of a shard got, as the journal is carried out anew."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from backend.app.repositories.venue_proof import Row
from backend.app.venue.batch import Batch, OrderStatus

_ENDED: Final = (OrderStatus.FILLED, OrderStatus.CANCELLED)


class Stands:
    """How far each order of a shard got, and when. All in memory: about 500 bytes an order."""

    def __init__(self, first_number: int) -> None:
        self._first_number = first_number
        # By number; a command that is no order leaves a hole.
        self._orders: list[list[Any] | None] = []
        self.count = 0

    def add(self, batch: Batch, at: datetime | None) -> None:
        """Note what one more batch did."""
        for number, change in batch.changed.items():
            order = self._orders[number - self._first_number]
            assert order is not None  # noqa: S101 - only orders change
            order[1] += change.executed
            order[2] += change.value
            order[3] = change.status
            order[5] = at
        begin = batch.first_number - self._first_number
        self._orders += [None] * (begin + len(batch.commands) - len(self._orders))
        for number, *stand in batch.placed:
            self._orders[number - self._first_number] = [*stand, at, at]
        self.count += len(batch.placed)

    def rows(self) -> Iterator[Row]:
        """Walk all orders as they stand now, the oldest first."""
        for *stand, _, _ in self.rows_in_time():
            yield tuple(stand)

    def rows_in_time(self) -> Iterator[Row]:
        """Walk all orders as they stand now, each with when it was placed and last changed."""
        for number, stand in enumerate(self._orders, self._first_number):
            if stand is not None:
                order, executed, value, status, *times = stand
                yield (number, *order, executed, value, status.value, *times)

    def row_in_time(self, number: int) -> Row | None:
        """Return how an order stands now, as `rows_in_time` says it."""
        stand = self._orders[number - self._first_number]
        if stand is None:
            return None
        order, executed, value, status, *times = stand
        return (number, *order, executed, value, status.value, *times)

    def open(self) -> Iterator[tuple[int, int]]:
        """Walk what is open: each order's id, and what is left of it."""
        for number, stand in enumerate(self._orders, self._first_number):
            if stand is not None and stand[3] not in _ENDED:
                yield number, stand[0].quantity - stand[1]
