"""What accounts have asked under names of their own: orders and transfers, each done once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from backend.app.venue.batch import OrderStatus
from backend.app.venue.commands import NewOrder
from backend.app.venue.instruments import ATOMS_PER_UNIT
from backend.app.venue.orders import OrderType, SelfTrade, Side, TimeInForce

_ORDERS: Final = """
SELECT orders.account_id, orders.client_order_id, id, instrument_id, side, price, quantity,
    order_type, time_in_force, stop_price, self_trade, budget,
    executed_quantity, executed_value, status, created_at
FROM unnest($1::bigint[], $2::text[]) AS wanted (account_id, client_order_id)
JOIN orders ON orders.account_id = wanted.account_id
    AND orders.client_order_id = wanted.client_order_id AND orders.id >> 40 = $3
"""
_TRANSFERS: Final = """
SELECT venue_transfers.account_id, venue_transfers.reference, number, asset, amount
FROM unnest($1::bigint[], $2::text[]) AS wanted (account_id, reference)
JOIN venue_transfers USING (account_id, reference)
"""


class Name(NamedTuple):
    """An account's own name of an order or a transfer."""

    kind: Literal["order", "transfer"]
    account_id: int
    text: str


class Known(NamedTuple):
    """An order that is stored, as its owner is told of it. `value` sums price x quantity."""

    id: int
    order: NewOrder
    executed: int
    value: int
    status: OrderStatus
    created_at: datetime


class KnownTransfer(NamedTuple):
    """A transfer that was done, in atoms."""

    number: int
    asset: str
    amount: int


Memory = dict[Name, Known | KnownTransfer]


async def known(connection: Any, shard: int, names: Sequence[Name]) -> Memory:
    """Return those of these names that a shard has stored, with what is stored under them."""
    found: Memory = {}
    orders = [each for each in names if each.kind == "order"]
    transfers = [each for each in names if each.kind == "transfer"]
    if orders:
        for row in await connection.fetch(_ORDERS, *_columns(orders), shard):
            found[Name("order", row[0], row[1])] = _order(row)
    if transfers:
        for account, text, number, asset, amount in await connection.fetch(
            _TRANSFERS, *_columns(transfers)
        ):
            transfer = KnownTransfer(number, asset, int(amount * ATOMS_PER_UNIT))
            found[Name("transfer", account, text)] = transfer
    return found


def _columns(names: Sequence[Name]) -> tuple[list[int], list[str]]:
    return [each.account_id for each in names], [each.text for each in names]


def _order(row: Any) -> Known:
    order = NewOrder(
        row["account_id"],
        row["instrument_id"],
        Side(row["side"]),
        row["price"],
        row["quantity"],
        row["client_order_id"],
        OrderType(row["order_type"]),
        TimeInForce(row["time_in_force"]),
        row["stop_price"],
        SelfTrade(row["self_trade"]),
        None if row["budget"] is None else int(row["budget"] * ATOMS_PER_UNIT),
    )
    return Known(
        row["id"],
        order,
        row["executed_quantity"],
        row["executed_value"],
        OrderStatus(row["status"]),
        row["created_at"],
    )
