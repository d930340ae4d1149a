"""What users were told of how their orders stand."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from backend.app.channel_message import orders_channel
from backend.app.models.venue import Order
from backend.app.repositories.venue_proof import Row
from backend.app.services.venue import order_shown
from backend.app.services.venue.amounts import in_decimal
from backend.app.services.venue.spot_markets import Markets
from backend.app.services.venue.stands import Stands
from backend.app.services.venue.told_runs import Body, in_bytes
from backend.app.venue.batch import Batch
from backend.app.venue.instruments import ATOMS_PER_UNIT

_COLUMNS: Final = (
    *("id", "account_id", "instrument_id", "side", "price", "quantity", "client_order_id"),
    *("order_type", "time_in_force", "stop_price", "self_trade", "budget"),
    *("executed_quantity", "executed_value", "status", "created_at", "updated_at"),
)


class _Telling(NamedTuple):
    seq: int
    said: bytes


class ToldOrders:
    """Each order as it was told, waiting for the entry of the journal that brings it about."""

    def __init__(self, markets: Markets) -> None:
        self._markets = markets
        self._wanted: dict[tuple[int, int, datetime], list[_Telling]] = defaultdict(list)
        self._times: set[datetime] = set()
        # By user: the first message with orders, and the entry up to which it tells of orders.
        self._first: dict[int, int] = {}
        self._begins: dict[int, int] = defaultdict(int)
        self._with_more: set[int] = set()
        # By order: how it was told last; and of users who are told, the entry it changed in last.
        self._last: dict[int, bytes] = {}
        self._changed: dict[int, tuple[int, int]] = {}

    @property
    def user_ids(self) -> Collection[int]:
        """Who was told of orders."""
        return self._first.keys()

    def expect(self, user_id: int, seq: int, orders: Sequence[Body], *, more: bool) -> None:
        """Note what a message has told.

        Raises:
            KeyError, TypeError, ValueError: it is not of the form the feed writes.
        """
        if more:
            self._with_more.add(user_id)
        for each in orders:
            number, at = int(each["id"]), datetime.fromisoformat(each["updated_at"])
            self._first.setdefault(user_id, seq)
            said = self._last[number] = in_bytes(each)
            self._wanted[user_id, number, at].append(_Telling(seq, said))
            self._times.add(at)

    def add(self, batch: Batch, sequence: int, at: datetime, stands: Stands) -> None:
        """Let an entry bring about what it does."""
        if not self._first:
            return
        for number in (*batch.changed, *(each.id for each in batch.placed)):
            row = stands.row_in_time(number)
            if row is None or row[1] not in self._first:
                continue
            user_id = row[1]
            self._changed[number] = user_id, sequence
            tellings = self._wanted.get((user_id, number, at)) if at in self._times else None
            if tellings:
                said = self._said(row)
                if any(each == (self._first[user_id], said) for each in tellings):
                    self._begins[user_id] = sequence
                tellings[:] = [each for each in tellings if each.said != said]

    def missing(self, told_until: int, user_ids: Collection[int], stands: Stands) -> str | None:
        """Return, in words, what was told otherwise, or not at all to one of these users.

        `told_until` is the entry the feed has told last.
        """
        for (user_id, number, _), tellings in self._wanted.items():
            for each in tellings:
                channel = orders_channel(user_id)
                return f"message {each.seq} of {channel} tells otherwise of order {number}"
        for number, (user_id, sequence) in self._changed.items():
            if user_id in self._with_more or user_id not in user_ids:
                continue
            row = stands.row_in_time(number)
            is_due = self._begins[user_id] < sequence <= told_until
            if is_due and row is not None and self._last.get(number) != self._said(row):
                return f"{orders_channel(user_id)} does not tell how order {number} stands"
        return None

    def _said(self, row: Row) -> bytes:
        columns: dict[str, Any] = dict(zip(_COLUMNS, row, strict=True))
        if columns["budget"] is not None:
            columns["budget"] = in_decimal(columns["budget"], ATOMS_PER_UNIT)
        order = Order(**columns)
        shown = order_shown.stored(self._markets.by_id[order.instrument_id], order)
        return in_bytes(shown.model_dump(mode="json"))
