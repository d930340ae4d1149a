"""What a shard can be told to do. What is carried out gets a number, and stands in the journal.

An order's number is its id. A command that is refused gets none, changes nothing and is not kept.
"""

from typing import NamedTuple

from backend.app.venue.orders import OrderType, SelfTrade, Side, TimeInForce


class NewOrder(NamedTuple):
    """An order that has no number yet. Prices in ticks, the quantity in lots.

    A market buy may name a `budget`, in atoms of the quote asset, instead of a quantity (then 0):
    it buys the most whole lots the budget pays for.
    """

    account_id: int
    instrument_id: int
    side: Side
    price: int | None
    quantity: int = 1
    client_order_id: str | None = None
    type: OrderType = OrderType.LIMIT
    time_in_force: TimeInForce = TimeInForce.GTC
    stop_price: int | None = None
    self_trade: SelfTrade = SelfTrade.ALLOW
    budget: int | None = None


class CancelOrder(NamedTuple):
    """Take one open order of an account back."""

    account_id: int
    instrument_id: int
    order_id: int


class CancelAllOrders(NamedTuple):
    """Take every open order of an account back: of one instrument, or of all of the shard."""

    account_id: int
    instrument_id: int | None


class MoveFunds(NamedTuple):
    """Put test funds into an account (`amount` > 0, in atoms), or take them out (< 0).

    `reference` is the account's own name of this transfer: it is done once.
    """

    account_id: int
    asset: str
    amount: int
    reference: str


Command = NewOrder | CancelOrder | CancelAllOrders | MoveFunds
