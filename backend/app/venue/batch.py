"""What a batch of commands brought about: its answers, and all that has to be written of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from backend.app.venue.commands import Command, NewOrder
from backend.app.venue.events import RejectReason
from backend.app.venue.orders import Side


class OrderStatus(StrEnum):
    """How far an order got."""

    WAITING = "waiting"
    """A stop order whose price was not reached yet."""
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    """Ended with something untraded, whoever or whatever ended it."""


class PlacedOrder(NamedTuple):
    """A new order as it stands at the end of its batch. `value` is the sum of price x quantity."""

    id: int
    order: NewOrder
    executed: int
    value: int
    status: OrderStatus


class OrderChange(NamedTuple):
    """What a batch did to an order from before it: how much more it traded, and how it stands."""

    executed: int
    value: int
    status: OrderStatus


class Trade(NamedTuple):
    """Two orders that met."""

    id: int
    instrument_id: int
    maker_order_id: int
    taker_order_id: int
    taker_side: Side
    price: int
    quantity: int


class Fill(NamedTuple):
    """One account's side of a trade of a funded instrument.

    `fee` is in atoms of what this side received: the base asset for a buy, else the quote asset.
    """

    account_id: int
    trade_id: int
    instrument_id: int
    order_id: int
    side: Side
    is_maker: bool
    price: int
    quantity: int
    fee: int


class Pocket(StrEnum):
    """Where money of the venue is. The first two are an account's, the others the house's."""

    AVAILABLE = "available"
    LOCKED = "locked"
    FEES = "fees"
    BANK = "bank"
    """The world outside, where test funds come from."""


class Line(NamedTuple):
    """What a command did to one pocket, in atoms. Those of a command sum to zero per asset."""

    number: int
    account_id: int | None
    asset: str
    pocket: Pocket
    amount: int


class Refused(NamedTuple):
    """A command was not carried out, and nothing changed."""

    reason: RejectReason


class Done(NamedTuple):
    """A command was carried out under this number; `cancelled` are the orders it took back."""

    number: int
    cancelled: tuple[int, ...] = ()


Outcome = Refused | Done


@dataclass(frozen=True)
class Batch:
    """What a sequence of commands brought about."""

    first_number: int
    commands: Sequence[Command]
    """Those that were carried out, numbered from `first_number` on."""
    outcomes: Sequence[Outcome]
    """One for each command that was asked, in order."""
    placed: Sequence[PlacedOrder]
    changed: Mapping[int, OrderChange]
    """Orders from before this batch, by id."""
    trades: Sequence[Trade]
    fills: Sequence[Fill]
    lines: Sequence[Line]
